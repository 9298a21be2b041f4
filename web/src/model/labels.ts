import type { Labels } from './wire.ts';

/** The label that holds a series' metric name. */
export const NAME = '__name__';

/** Compares as a person would sort: cpu "2" before cpu "10". The same in every locale. */
const natural = new Intl.Collator('en', { numeric: true }).compare;

/** The series' identity: equal for equal name and labels, whatever the order in which they came. */
export function identity(labels: Labels): string {
  return JSON.stringify(
    Object.keys(labels)
      .sort()
      .map(name => [name, labels[name]]),
  );
}

/**
 * The names of the labels that tell these series apart: those that do not have the same value on all of them.
 * Sorted, the metric name first. Empty for a single series.
 */
export function distinguishing(series: readonly Labels[]): string[] {
  const names = new Set(series.flatMap(labels => Object.keys(labels)));
  return [...names]
    .filter(name => series.some(labels => labels[name] !== series[0]![name]))
    .sort((a, b) => Number(b === NAME) - Number(a === NAME) || natural(a, b));
}

/** A series' values of the labels that tell it apart, as one text: what its line is called on the chart. */
export function lineKey(labels: Labels, apart: readonly string[]): string {
  const names = apart.length > 0 ? apart : [NAME];
  return names.map(name => labels[name] ?? '').join(' ');
}

/** Orders lines for a legend. */
export function byKey(a: string, b: string): number {
  return natural(a, b) || (a < b ? -1 : Number(a > b));
}

/** Writes a label's value as PromQL does, in double quotes. */
export function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
