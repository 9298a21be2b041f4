/** The windows that the page offers, in seconds. The first is the strip chart's classic. */
export const WINDOWS: readonly number[] = [100, 300, 900, 3_600, 21_600, 86_400];

/** The longest window that a link may ask for, in seconds: 30 days, the server's limit. */
const LONGEST = 2_592_000;

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];

/** Reads a window as links spell it, "15m", "100s", "1d"; seconds, or null where it is none or out of bounds. */
export function parseSpan(text: string): number | null {
  const match = /^(\d{1,7})(d|h|m|s)$/.exec(text);
  if (!match) return null;
  const seconds = Number(match[1]) * UNITS.find(([unit]) => unit === match[2])![1];
  return seconds >= 1 && seconds <= LONGEST ? seconds : null;
}

/** Spells a window as links do, in the largest unit that divides it. */
export function spanText(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds % size === 0) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}

/** Spells a window for people: "100 s", "15 min", "24 h", "7 d". */
export function spanLabel(seconds: number): string {
  if (seconds % 86_400 === 0 && seconds > 86_400) return `${seconds / 86_400} d`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  if (seconds % 60 === 0) return `${seconds / 60} min`;
  return `${seconds} s`;
}
