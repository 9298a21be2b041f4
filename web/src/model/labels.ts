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

/** What a line's colour is a hash of: its values of the labels that tell it apart. Empty for a line alone. */
export function lineKey(labels: Labels, apart: readonly string[]): string {
  return apart.map(name => labels[name] ?? '').join(' ');
}

/**
 * What a line is called on its chart: its values of the labels that tell it apart. Of metric names only the words
 * that differ, `read` and `write` for `disk_read_bytes_per_second` and `disk_write_bytes_per_second`; a line alone
 * is called by its metric.
 */
export function lineTitle(labels: Labels, apart: readonly string[], names: readonly string[]): string {
  const name = (labels[NAME] ?? '').split('_');
  if (apart.length === 0) return name.join(' ');
  const words = names.map(other => other.split('_'));
  const shortest = Math.min(...words.map(w => w.length));
  let head = 0;
  while (head < shortest - 1 && words.every(w => w[head] === words[0]![head])) head++;
  let tail = 0;
  while (tail < shortest - 1 - head && words.every(w => w.at(-1 - tail) === words[0]!.at(-1 - tail))) tail++;
  const own = name.slice(head, name.length - tail).join(' ');
  return apart
    .map(label => (label === NAME ? own : valueText(label, labels[label] ?? '')))
    .filter(Boolean)
    .join(' ');
}

/** A label's value; a number alone would be read as the line's value, so its label stands before it. */
function valueText(label: string, value: string): string {
  return /^[\d.]+$/.test(value) ? `${label} ${value}` : value;
}

/** Least part of titles that is worth to be cut, characters. */
const WORTH = 8;

/**
 * Cuts from titles what they begin with in common, up to the end of a word, and from each the `subject` of its chart, which
 * its head says already. No title is left empty, and no two become the same.
 */
export function shorten(titles: readonly string[], subject: string): string[] {
  const spoken = subject.toLowerCase();
  const bare = titles.map(title =>
    title.toLowerCase().startsWith(`${spoken} `) ? title.slice(spoken.length + 1) : title,
  );
  const use = new Set(bare).size === new Set(titles).size ? bare : titles;
  if (use.length < 2) return [...use];
  let common = 0;
  while (use.every(title => common < title.length && title[common] === use[0]![common])) common++;
  // Back to the end of a word, so that what is left can be read.
  while (common > 0 && !/[\s/._:-]/.test(use[0]![common - 1]!)) common--;
  if (common < WORTH || use.some(title => title.length <= common)) return [...use];
  return use.map(title => `…${title.slice(common)}`);
}

/** Orders lines for a legend. */
export function byKey(a: string, b: string): number {
  return natural(a, b) || (a < b ? -1 : Number(a > b));
}

/** Writes a label's value as PromQL does, in double quotes. */
export function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
