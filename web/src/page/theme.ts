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
  readonly shade = computed<Shade>(() => {
    const theme = this.chosen.value;
    return theme === 'auto' ? this.#system.value : theme;
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
