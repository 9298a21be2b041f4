import { computed, effect, signal } from '@preact/signals';
import type { Shade } from '../charts/look.ts';
import { keep, kept } from './kept.ts';

export type Theme = 'auto' | Shade;

/** Where the reader's own choice is remembered; a link never carries it by itself. */
const KEY = 'stripchart.theme';

/** The theme that was chosen, and the shade that it comes to. */
export class ThemeChoice {
  readonly chosen = signal<Theme>('auto');
  readonly #system = signal<Shade>('light');
  readonly #forced = matchMedia('(forced-colors: active)');
  readonly shade = computed<Shade>(() => {
    const theme = this.chosen.value;
    // Forced colours are the system's, light or dark.
    return theme === 'auto' || this.#forced.matches ? this.#system.value : theme;
  });

  /** `fixed` is what the link demands, null for nothing. */
  constructor(fixed: Shade | null) {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const follow = (): void => {
      this.#system.value = dark.matches ? 'dark' : 'light';
    };
    follow();
    dark.addEventListener('change', follow);
    this.chosen.value = fixed ?? remembered();
    effect(() => {
      document.documentElement.dataset.theme = this.shade.value;
      // The browser's own frame in the colour of the page.
      document
        .querySelector('meta[name="theme-color"]')!
        .setAttribute('content', getComputedStyle(document.body).backgroundColor);
    });
  }

  choose(theme: Theme): void {
    this.chosen.value = theme;
    keep(KEY, theme);
  }
}

function remembered(): Theme {
  const theme = kept(KEY);
  return theme === 'light' || theme === 'dark' ? theme : 'auto';
}
