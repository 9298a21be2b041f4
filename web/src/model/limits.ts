/** From where on a value is remarkable: at `value` and above, or, where `below`, at it and below. */
export interface Limit {
  readonly value: number;
  readonly below: boolean;
}

/** The limits of a chart; null where there is none. */
export interface Limits {
  readonly warn: Limit | null;
  readonly bad: Limit | null;
}

/** How a value stands to the limits. */
export type Level = 'ok' | 'warn' | 'bad';

export const NO_LIMITS: Limits = { warn: null, bad: null };

/** The levels that have a limit, the gravest last. */
export const GRAVE = ['warn', 'bad'] as const;

/** Reads a limit as links and menus spell it: "80" for 80 and above, "<10" for 10 and below; null for none. */
export function parseLimit(text: string): Limit | null {
  const match = /^\s*([<>]?)\s*([-−+]?[\d.]+(?:e[-+]?\d+)?)\s*$/i.exec(text);
  const value = match ? Number(match[2]!.replace('−', '-')) : Number.NaN;
  return Number.isFinite(value) ? { value, below: match![1] === '<' } : null;
}

/** Spells a limit as `parseLimit` reads it; empty for none. */
export function limitText(limit: Limit | null): string {
  return limit ? `${limit.below ? '<' : ''}${limit.value}` : '';
}

/** How `value` stands; a value that is none is all right. */
export function levelOf(value: number, { warn, bad }: Limits): Level {
  if (exceeds(value, bad)) return 'bad';
  return exceeds(value, warn) ? 'warn' : 'ok';
}

function exceeds(value: number, limit: Limit | null): boolean {
  return limit !== null && (limit.below ? value <= limit.value : value >= limit.value);
}

/** The graver of two. */
export function graver(a: Level, b: Level): Level {
  return a === 'bad' || b === 'bad' ? 'bad' : a === 'warn' || b === 'warn' ? 'warn' : 'ok';
}

/** How far a limit may be from the values to be shown with them, as a part of what they span. */
const NEAR = 2;

/** The range of values from `low` to `high` with the limits that are near it; both NaN for no values. */
export function withLimits(low: number, high: number, limits: Limits): [low: number, high: number] {
  const reach = NEAR * (high - low);
  let [bottom, top] = [low, high];
  for (const { value } of GRAVE.flatMap(level => limits[level] ?? [])) {
    if (value < low - reach || value > high + reach) continue;
    if (value < bottom) bottom = value;
    if (value > top) top = value;
  }
  return [bottom, top];
}
