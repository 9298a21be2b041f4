import { effect, signal } from '@preact/signals';

/** A tab that nobody has looked at for this long leaves its rooms, ms. */
const HIDDEN_FOR = 30_000;

/** A chart that has been off screen for this long leaves its room, ms. */
const OFF_SCREEN_FOR = 10_000;

/** Knows which charts somebody may be looking at, so that the others cost the server nothing. */
export class Presence {
  readonly #away = signal(false);
  readonly #seen = new Map<Element, (seen: boolean) => void>();
  // A margin of one viewport above and below: a chart has its data before it is scrolled to.
  readonly #observer = new IntersectionObserver(
    entries => {
      for (const entry of entries) this.#seen.get(entry.target)?.(entry.isIntersecting);
    },
    { rootMargin: '100% 0px' },
  );

  constructor() {
    let timer: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(timer);
      if (document.hidden) {
        timer = setTimeout(() => {
          this.#away.value = true;
        }, HIDDEN_FOR);
      } else {
        this.#away.value = false;
      }
    });
  }

  /** Calls `changed` when `element` comes near the screen or has been away for long. Returns how to stop. */
  watch(element: Element, changed: (present: boolean) => void): () => void {
    const near = signal(false);
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#seen.set(element, seen => {
      clearTimeout(timer);
      if (seen) {
        near.value = true;
      } else if (near.value) {
        timer = setTimeout(() => {
          near.value = false;
        }, OFF_SCREEN_FOR);
      }
    });
    this.#observer.observe(element);
    const stop = effect(() => changed(near.value && !this.#away.value));
    return () => {
      stop();
      clearTimeout(timer);
      this.#observer.unobserve(element);
      this.#seen.delete(element);
    };
  }
}
