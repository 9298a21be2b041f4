import { NAME } from './labels.ts';
import type { Labels } from './wire.ts';

/** How well a word matches a text: higher is better, 0 for not at all. Both in lower case. */
function score(word: string, text: string): number {
  const at = text.indexOf(word);
  if (at === 0) return text.length === word.length ? 5 : 4;
  if (at > 0) return /[^a-z0-9]/.test(text[at - 1]!) ? 3 : 2;
  return word.length > 2 && isSubsequence(word, text) ? 1 : 0;
}

function isSubsequence(word: string, text: string): boolean {
  let at = 0;
  for (const character of word) {
    at = text.indexOf(character, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

/**
 * The items that match every word of `question`, the best first, `most` at most. `texts` are an item's names: the first
 * counts most. Without a question: the first ones.
 */
export function search<T>(
  items: readonly T[],
  question: string,
  texts: (item: T) => readonly string[],
  most: number,
): T[] {
  const words = question.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return items.slice(0, most);
  return items
    .map(item => ({ item, points: points(words, texts(item)) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points)
    .slice(0, most)
    .map(({ item }) => item);
}

/** The sum of the words' best scores; 0 where one of them matches nothing. */
function points(words: readonly string[], texts: readonly string[]): number {
  const lower = texts.map(text => text.toLowerCase());
  let sum = 0;
  for (const word of words) {
    const best = Math.max(0, ...lower.map((text, i) => score(word, text) * (i === 0 ? 1 : 0.9)));
    if (best === 0) return 0;
    sum += best;
  }
  return sum;
}

/** A metric of the catalogue. */
export interface Metric {
  readonly name: string;
  readonly series: readonly Labels[];
}

/** The catalogue by metrics, in its order. */
export function metricsOf(series: readonly Labels[]): Metric[] {
  const metrics = new Map<string, Labels[]>();
  for (const labels of series) {
    const name = labels[NAME] ?? '';
    const list = metrics.get(name);
    if (list) list.push(labels);
    else metrics.set(name, [labels]);
  }
  return [...metrics].map(([name, list]) => ({ name, series: list }));
}

/** What a series is found by: its name, then its labels and their values. */
export function textsOf(labels: Labels): string[] {
  const { [NAME]: name = '', ...others } = labels;
  return [
    name,
    ...Object.entries(others).map(([label, value]) => `${label}=${value}`),
    ...Object.values(others),
  ];
}

/** Names that somebody may have meant who wrote `name`: the most alike first, three at most. */
export function near(name: string, names: Iterable<string>): string[] {
  const wanted = name.toLowerCase();
  const bound = Math.max(2, Math.floor(wanted.length / 3));
  return [...new Set(names)]
    .map(other => ({ other, distance: unlikeness(wanted, other.toLowerCase(), bound) }))
    .filter(({ distance }) => distance <= bound)
    .sort((a, b) => a.distance - b.distance || a.other.length - b.other.length)
    .slice(0, 3)
    .map(({ other }) => other);
}

/** Letters to change, add or leave out; 1 where one name is a part of the other. Above `bound` it is not exact. */
function unlikeness(a: string, b: string, bound: number): number {
  if (a.length > 2 && b.length > 2 && (a.includes(b) || b.includes(a))) return 1;
  if (Math.abs(a.length - b.length) > bound) return bound + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + same);
    }
    row = next;
  }
  return row[b.length]!;
}
