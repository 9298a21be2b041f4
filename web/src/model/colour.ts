import { byKey } from './labels.ts';

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

/** Dash patterns in CSS pixels: the first eight lines are solid, then patterns tell equal colours apart. */
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [10, 3, 2, 3]];

/** A line alone needs no telling apart: it is drawn in a pen's blue. */
const ALONE: Ink = { colour: 5, dash: 0 };

/**
 * Gives each line of a chart its ink. The wish of a line is a hash of its key, so it looks the same on every
 * chart and after a reload; a key that is a number is its own hash, so cores run through the palette in order.
 * Only where two lines of one chart wish for the same ink does the later one (by key) move on to the next free
 * one. Lines in `taken` keep what they have: a new neighbour never changes their colour.
 */
export function assignInks(
  keys: readonly string[],
  taken: ReadonlyMap<string, Ink> = new Map(),
): Map<string, Ink> {
  if (keys.length === 1 && keys[0] === '') return new Map([['', ALONE]]);
  const inks = new Map<string, Ink>();
  const used = new Set<number>();
  for (const key of keys) {
    const ink = taken.get(key);
    if (!ink) continue;
    inks.set(key, ink);
    used.add(slot(ink));
  }
  const colours = PALETTE.light.length;
  const slots = colours * DASHES.length;
  for (const key of keys.filter(key => !inks.has(key)).sort(byKey)) {
    const wish = hash(key);
    // First any free colour, solid; only when all eight are taken, the next dash pattern.
    let free = wish % colours;
    for (let row = 0, tried = 0; used.has(free) && tried < slots; tried++) {
      if (tried % colours === colours - 1) row++;
      free = (row % DASHES.length) * colours + ((wish + tried + 1) % colours);
    }
    used.add(free);
    inks.set(key, { colour: free % colours, dash: Math.floor(free / colours) });
  }
  return inks;
}

function slot(ink: Ink): number {
  return ink.dash * PALETTE.light.length + ink.colour;
}

/** FNV-1a over the key's UTF-16 units, 32 bits; of a whole number, the number. */
function hash(key: string): number {
  if (/^\d{1,9}$/.test(key)) return Number(key);
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
