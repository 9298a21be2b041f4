import { byKey } from '../model/labels.ts';
import { metricTitle } from '../model/naming.ts';
import { metricsOf, search, textsOf } from '../model/search.ts';
import { nameSelector, parseSelector, seriesSelector } from '../model/selector.ts';
import { spanLabel, WINDOWS } from '../model/span.ts';
import type { Labels } from '../model/wire.ts';
import * as texts from '../texts.ts';
import type { Page } from './page.ts';

/** Something that the command bar offers. */
export interface Command {
  readonly key: string;
  readonly label: string;
  /** What kind of thing it is, or what choosing it does. */
  readonly hint: string;
  readonly run: () => void;
}

/** What is asked for: anything, or a chart to add. */
export type Question = 'anything' | 'charts';

const MOST_METRICS = 8;
const MOST_SERIES = 6;
/** Series of a metric that are searched by their labels with it; each of them is found by itself too. */
const LABELS_OF = 30;

/** What there is for the words that were typed, the best first. */
export function commands(page: Page, question: Question, words: string): Command[] {
  const charts = [
    ...selectorCommand(page, words),
    ...metricCommands(page, words),
    ...seriesCommands(page, words),
  ];
  if (question === 'charts') return charts;
  const others = search(otherCommands(page), words, command => [command.label, command.hint], MOST_METRICS);
  // Whoever has typed nothing yet is looking for a chart; other things are few and short.
  return words.trim() === '' ? [...charts, ...others] : interleave(charts, others, words);
}

/** What begins with the words comes first, whatever it is. */
function interleave(charts: Command[], others: Command[], words: string): Command[] {
  const start = words.trim().toLowerCase();
  const first = others.filter(({ label }) => label.toLowerCase().startsWith(start));
  return [...first, ...charts, ...others.filter(other => !first.includes(other))];
}

function addCommand(page: Page, key: string, label: string, query: string, about: string): Command {
  const shown = page.board.panels.value.find(panel => panel.query === query);
  return shown
    ? { key, label, hint: texts.onThisPage(about), run: () => page.reveal(shown.id) }
    : { key, label, hint: texts.addChart(about), run: () => page.addChart(query) };
}

function selectorCommand(page: Page, words: string): Command[] {
  const query = words.trim();
  const isSelector = query.includes('{') && parseSelector(query) !== null;
  return isSelector ? [addCommand(page, 'selector', query, query, texts.A_SELECTOR)] : [];
}

function metricCommands(page: Page, words: string): Command[] {
  const spoken = ({ name, series }: { name: string; series: readonly Labels[] }): string[] => [
    name,
    metricTitle(name),
    ...new Set(series.slice(0, LABELS_OF).flatMap(textsOf)),
  ];
  return search(metricsOf(page.series.value), words, spoken, MOST_METRICS).map(({ name, series }) => {
    return addCommand(page, `metric ${name}`, name, nameSelector(name), texts.seriesCount(series.length));
  });
}

/** Single series, once somebody has said which: a metric with one series is found as a metric. */
function seriesCommands(page: Page, words: string): Command[] {
  if (words.trim() === '') return [];
  const several = metricsOf(page.series.value).filter(({ series }) => series.length > 1);
  return search(
    several.flatMap(({ series }) => series),
    words,
    textsOf,
    MOST_SERIES,
  ).map(labels => {
    const query = seriesSelector(labels);
    return addCommand(page, `series ${query}`, query, query, texts.A_SERIES);
  });
}

function otherCommands(page: Page): Command[] {
  const hosts = page.hosts.value;
  return [
    ...(hosts.length > 1
      ? [
          { key: 'host', label: texts.ALL_HOSTS, hint: texts.A_HOST, run: () => page.chooseHost(null) },
          ...[...hosts].sort(byKey).map(host => ({
            key: `host ${host}`,
            label: host,
            hint: texts.A_HOST,
            run: () => page.chooseHost(host),
          })),
        ]
      : []),
    ...WINDOWS.map(seconds => ({
      key: `window ${seconds}`,
      label: spanLabel(seconds),
      hint: texts.A_WINDOW,
      run: () => page.chooseWindow(seconds),
    })),
    {
      key: 'pause',
      label: page.time.fixed.value ? texts.TO_LIVE : texts.PAUSE,
      hint: texts.OF_TIME,
      run: () => page.time.togglePause(),
    },
    {
      key: 'numbers',
      label: texts.ALL_NUMBERS,
      hint: texts.allNumbers(page.numbers.value),
      run: () => page.toggleNumbers(),
    },
    { key: 'wall', label: texts.WALL, hint: texts.OF_WALL, run: () => page.hang(true) },
    ...(page.board.standard.value
      ? []
      : [
          {
            key: 'reset',
            label: texts.TO_STANDARD,
            hint: texts.A_VIEW,
            run: () => page.board.reset(),
          },
        ]),
    ...(['auto', 'light', 'dark'] as const).map(theme => ({
      key: `theme ${theme}`,
      label: texts.THEME_ACTIONS[theme],
      hint: texts.A_THEME,
      run: () => page.theme.choose(theme),
    })),
  ];
}
