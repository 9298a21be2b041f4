import { byKey } from './labels.ts';
import type { Labels } from './wire.ts';

/** How a line is drawn: a place in the palette, and a dash pattern. */
export interface Ink {
  readonly colour: number;
  readonly dash: number;
}

/**
 * The eight colours of Okabe and Ito, in their order, which colour-blind people can tell apart. Each is moved
 * in lightness only, until it stands 3:1 against the theme's surface; the test of this file checks that.
 */
export const PALETTE: Readonly<Record<'light' | 'dark', readonly string[]>> = {
  light: ['#1f2933', '#b87400', '#2389c4', '#00805d', '#8f8500', '#0063a0', '#c24e00', '#b0578a'],
  dark: ['#e4e7eb', '#e69f00', '#56b4e9', '#00a878', '#f0e442', '#4a90d9', '#f0743e', '#d68ab5'],
};

/** Dash patterns in CSS pixels: the first four lines are solid, then patterns tell colours apart that are alike to some. */
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [10, 3, 2, 3]];

/** A line alone needs no telling apart: it is drawn in a pen's blue. */
const ALONE: Ink = { colour: 5, dash: 0 };

/**
 * The inks in the order in which lines get them. The first eight are told apart by people with any kind of colour blindness:
 * colours that are alike to them have different dashes. The test of this file computes that.
 */
const INKS: readonly Ink[] = [0, 1, 2, 3].flatMap(round => [
  ...[5, 1, 0, 7].map(colour => ({ colour, dash: round })),
  ...[2, 3, 4].map(colour => ({ colour, dash: (round + 1) % 4 })),
  { colour: 6, dash: (round + 2) % 4 },
]);

/**
 * Gives each line of a chart its ink, by its place among the lines in the order of their keys: neighbours differ. Lines in
 * `taken` keep what they have: a new neighbour never changes their colour.
 */
export function assignInks(
  keys: readonly string[],
  taken: ReadonlyMap<string, Ink> = new Map(),
): Map<string, Ink> {
  if (keys.length === 1 && keys[0] === '') return new Map([['', ALONE]]);
  const inks = new Map<string, Ink>();
  for (const key of keys) {
    const ink = taken.get(key);
    if (ink) inks.set(key, ink);
  }
  const used = new Set([...inks.values()].map(slot));
  const free = INKS.filter(ink => !used.has(slot(ink)));
  for (const [i, key] of keys
    .filter(key => !inks.has(key))
    .sort(byKey)
    .entries())
    inks.set(key, free[i] ?? INKS[i % INKS.length]!);
  return inks;
}

/**
 * The inks of lines of several hosts: a host has one colour on all charts, by its place among the `hosts` of the page, and
 * its lines are told apart by their dashes. null where the lines are not of several hosts that the page knows.
 */
export function hostInks(lines: readonly Labels[], hosts: readonly string[]): Ink[] | null {
  const own = lines.map(({ host }) => hosts.indexOf(host ?? ''));
  if (new Set(own).size < 2 || own.includes(-1)) return null;
  const lineOf = new Map<number, number>();
  return own.map(host => {
    const line = lineOf.get(host) ?? 0;
    lineOf.set(host, line + 1);
    const { colour, dash } = INKS[host % INKS.length]!;
    return { colour, dash: (dash + line) % DASHES.length };
  });
}

function slot(ink: Ink): number {
  return ink.dash * PALETTE.light.length + ink.colour;
}
