import { computed, effect, signal } from '@preact/signals';

/** A page that hangs somewhere: no controls, everything on one screen, and the next charts after a while. */
export class Wall {
  /** Seconds for which it shows charts before it turns to the next ones; null for a page that is no wall. */
  readonly turns = signal<number | null>(null);
  readonly on = computed(() => this.turns.value !== null);
  /** How many times it has turned. */
  readonly turned = signal(0);
  #lock: WakeLockSentinel | null = null;

  constructor(turns: number | null) {
    this.turns.value = turns;
    effect(() => {
      document.documentElement.toggleAttribute('data-wall', this.on.value);
      const seconds = this.turns.value;
      void this.#stayAwake(seconds !== null);
      if (seconds === null) return;
      const timer = setInterval(() => {
        this.turned.value++;
      }, 1000 * seconds);
      return () => clearInterval(timer);
    });
    // The browser lets go of the screen when the page is hidden.
    document.addEventListener('visibilitychange', () => void this.#stayAwake(this.on.value));
  }

  /** Keeps the screen from going dark, where the browser can and may. */
  async #stayAwake(awake: boolean): Promise<void> {
    try {
      if (!awake) await this.#lock?.release();
      else if (!document.hidden) this.#lock = await navigator.wakeLock.request('screen');
    } catch {
      // A wall without it is a wall all the same.
    }
  }
}
