import { spanLabel, WINDOWS } from '../model/span.ts';
import type { Page } from '../page/page.ts';
import type { Theme } from '../page/theme.ts';
import * as texts from '../texts.ts';
import { Choice } from './Choice.tsx';
import { ConditionLine } from './ConditionLine.tsx';
import { HostChoice } from './HostChoice.tsx';
import { Menu } from './Menu.tsx';
import { TimeLine } from './TimeLine.tsx';

const THEMES: readonly { readonly value: Theme; readonly label: string; readonly icon: string }[] = [
  { value: 'auto', label: texts.THEMES.auto, icon: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12' },
  {
    value: 'light',
    label: texts.THEMES.light,
    icon: 'M8 5.2a2.8 2.8 0 1 0 .01 0M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  },
  { value: 'dark', label: texts.THEMES.dark, icon: 'M13.5 10A6 6 0 0 1 6 2.5 6 6 0 1 0 13.5 10' },
];

export function Header({ page }: { page: Page }) {
  return (
    <header class="bar">
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a place on this page */}
      <a
        class="skip"
        href="#charts"
        onClick={event => {
          // The address is the page's state: it is not changed for that.
          event.preventDefault();
          document.getElementById('charts')!.focus();
        }}
      >
        {texts.TO_THE_CHARTS}
      </a>
      <h1>
        <a class="brand" href=".">
          <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <path d="M1 12h4l2-7 3.5 11 2.5-8 1.5 4H19" />
          </svg>
          <span>{texts.NAME}</span>
        </a>
      </h1>
      <HostChoice page={page} />
      <ConditionLine page={page} />
      <AddChart page={page} />
      <TimeLine page={page} />
      <WindowChoice page={page} />
      <PageMenu page={page} />
    </header>
  );
}

function AddChart({ page }: { page: Page }) {
  return (
    <button
      type="button"
      class="add"
      title={texts.ADD_HELP}
      aria-label={texts.ADD}
      onClick={() => page.ask('charts')}
    >
      + <span>{texts.CHART}</span>
    </button>
  );
}

/** What is chosen seldom. */
function PageMenu({ page }: { page: Page }) {
  return (
    <Menu label={texts.MORE} class="more">
      {close => (
        <>
          <Choice
            name="theme"
            label={texts.THEME}
            options={THEMES}
            chosen={page.theme.chosen.value}
            choose={theme => page.theme.choose(theme)}
          />
          <button
            type="button"
            onClick={() => {
              close();
              page.ask('charts');
            }}
          >
            {texts.OWN_NUMBERS}
          </button>
          <button
            type="button"
            onClick={() => {
              close();
              page.help.value = true;
            }}
          >
            {texts.KEYS}
          </button>
          <button
            type="button"
            onClick={() => {
              close();
              page.hang(true);
            }}
          >
            {texts.WALL}
          </button>
        </>
      )}
    </Menu>
  );
}

function WindowChoice({ page }: { page: Page }) {
  const seconds = page.window.value;
  // A link may ask for a window of its own; it then stands among the others.
  const all = WINDOWS.includes(seconds) ? WINDOWS : [...WINDOWS, seconds].sort((a, b) => a - b);
  const options = all.map(value => ({ value, label: spanLabel(value) }));
  return (
    <>
      <Choice
        name="window"
        label={texts.WINDOW}
        options={options}
        chosen={seconds}
        choose={value => page.chooseWindow(value)}
      />
      {/* The same where there is no room for a row of words. */}
      <select
        class="window"
        aria-label={texts.WINDOW}
        value={seconds}
        onChange={event => page.chooseWindow(Number(event.currentTarget.value))}
      >
        {options.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </>
  );
}
