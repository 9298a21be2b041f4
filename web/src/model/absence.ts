import * as texts from '../texts.ts';
import { formatAge, formatValue, type Unit } from './format.ts';
import { NAME } from './labels.ts';
import type { Panel } from './panels.ts';
import { near } from './search.ts';
import { compile, parseSelector } from './selector.ts';
import { spanLabel, WINDOWS } from './span.ts';
import type { Labels } from './wire.ts';

/** What stands in a chart's place while it has no sample. */
export interface Absence {
  readonly text: string;
  /** Metrics that may have been meant. */
  readonly near: readonly string[];
  /** A window in which there is a sample, seconds; null where none is known. */
  readonly show: number | null;
}

/** The last sample of a chart's series, from before its window. */
export interface LastSample {
  readonly time: number;
  readonly value: number;
  readonly unit: Unit;
}

/** What is known when there is nothing to draw. */
export interface Nothing {
  readonly panel: Panel;
  /** Seconds. */
  readonly window: number;
  /** The series that there are; null where not all of them are known. */
  readonly series: readonly Labels[] | null;
  readonly last: LastSample | null;
  readonly now: number;
}

const WAITING: Absence = { text: texts.WAITING, near: [], show: null };

/** Says why there is nothing to draw. Nobody should wait for a first sample of a misspelt name or of a series that has ended. */
export function absence({ panel, window, series, last, now }: Nothing): Absence {
  if (last) {
    const value = formatValue(last.value, last.unit);
    return {
      text: texts.noSampleSince(spanLabel(window), formatAge(now - last.time), value),
      near: [],
      show: WINDOWS.find(seconds => 1000 * seconds > now - last.time) ?? null,
    };
  }
  const matchers = parseSelector(panel.query);
  if (panel.vital || !series || !matchers) return WAITING;
  if (series.some(compile(matchers))) return { ...WAITING, text: texts.noSample(spanLabel(window)) };
  const name = panel.metric ?? panel.query;
  const names = series.map(labels => labels[NAME] ?? '');
  if (names.includes(name)) {
    return { ...WAITING, text: texts.noSuchLabels(name) };
  }
  return {
    text: texts.noSuchSeries(name),
    near: near(name, names),
    show: null,
  };
}
