import type { Drawing } from './drawing.ts';

/** How a chart draws its lines. */
export type Form = (typeof FORMS)[number];

/** `stack`: upon each other. `mirror`: what goes out below zero. `log`: by powers of ten. */
export const FORMS = ['lines', 'stack', 'mirror', 'log'] as const;

export function isForm(word: string): word is Form {
  return (FORMS as readonly string[]).includes(word);
}

/** What of a series goes out, by the words of its name and labels. */
const OUT =
  /(?:^|[_\W])(?:transmit(?:ted)?|sent|send|tx|out|outgoing|egress|write|written|writes|upload(?:ed)?)(?:$|[_\W])/i;

export function goesOut(words: string): boolean {
  return OUT.test(words);
}

/** The whole of which others are parts: it is not stacked upon them. Swap is another memory. */
const WHOLE = /(?:^|[_\W])(?:total|limit|size|capacity|swap)(?:$|[_\W])/i;

export function isWhole(words: string): boolean {
  return WHOLE.test(words);
}

/** What a line is to its chart's form: lines below which it is filled, and where its values are placed. */
export interface Role {
  readonly stacked: boolean;
  readonly below: boolean;
}

const LINE: Role = { stacked: false, below: false };

/** The roles of lines, by the words that name them. */
export function rolesOf(form: Form, words: readonly string[]): Role[] {
  return words.map(word => ({
    ...LINE,
    stacked: form === 'stack' && !isWhole(word),
    below: form === 'mirror' && goesOut(word),
  }));
}

/** The values where a form places them: sums of those below, or below zero. Lines that are not `shown` count for nothing. */
export function layOut(
  ys: Drawing['ys'],
  roles: readonly Role[],
  shown: readonly boolean[],
): (number | null | undefined)[][] {
  const sums: number[] = [];
  return ys.map((values, line) => {
    const { stacked = false, below = false } = roles[line] ?? {};
    if (below) return values.map(value => (typeof value === 'number' ? -value : value));
    if (!stacked || !shown[line]) return values;
    let last = 0;
    return values.map((value, i) => {
      // Between its samples a line goes on as it was; where it is broken there is nothing of it.
      if (value !== undefined) last = value ?? 0;
      sums[i] = (sums[i] ?? 0) + last;
      return typeof value === 'number' ? sums[i] : value;
    });
  });
}
