import { spanLabel, WINDOWS } from '../model/span.ts';
import type { Page } from '../page/page.ts';
import type { Theme } from '../page/theme.ts';
import { Choice } from './Choice.tsx';
import { ConditionLine } from './ConditionLine.tsx';
import { HostChoice } from './HostChoice.tsx';

const THEMES: readonly { readonly value: Theme; readonly label: string }[] = [
  { value: 'auto', label: 'Auto' },
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
];

export function Header({ page }: { page: Page }) {
  return (
    <header class="bar">
      <h1 class="brand">
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
          <path d="M1 12h4l2-7 3.5 11 2.5-8 1.5 4H19" />
        </svg>
        Stripchart
      </h1>
      <HostChoice page={page} />
      <ConditionLine page={page} />
      <AddChart page={page} />
      <WindowChoice page={page} />
      <ThemeChoice page={page} />
    </header>
  );
}

function AddChart({ page }: { page: Page }) {
  return (
    <button
      type="button"
      class="add"
      title="Add a chart (press / to find anything)"
      onClick={() => page.ask('charts')}
    >
      + chart
    </button>
  );
}

function ThemeChoice({ page }: { page: Page }) {
  return (
    <Choice
      name="theme"
      label="Theme"
      options={THEMES}
      chosen={page.theme.chosen.value}
      choose={theme => page.theme.choose(theme)}
    />
  );
}

function WindowChoice({ page }: { page: Page }) {
  const seconds = page.window.value;
  // A link may ask for a window of its own; it then stands among the others.
  const all = WINDOWS.includes(seconds) ? WINDOWS : [...WINDOWS, seconds].sort((a, b) => a - b);
  return (
    <Choice
      name="window"
      label="Window"
      options={all.map(value => ({ value, label: spanLabel(value) }))}
      chosen={seconds}
      choose={value => page.chooseWindow(value)}
    />
  );
}
