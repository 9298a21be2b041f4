/**
 * How long a series may be silent before that is an outage. The collector promises its rhythm. Whoever else writes promises
 * nothing: a rhythm is believed once it has shown itself, and a burst, a hand or a sensor that sends on change never show
 * one.
 */

/** A promised rhythm is broken after three intervals, and three seconds at least; docs/PROTOCOL.md, `status`. */
const PROMISED = { intervals: 3, least: 3_000 } as const;

/** Silence before the server knows the interval: it takes two samples, and some series are measured every 10 s; ms. */
const UNKNOWN = 30_000;

/** A rhythm that was only seen is broken later: whoever writes so may pause, as a training does for an evaluation. */
const SEEN = { intervals: 30, least: 10_000 } as const;

/** Distances that are looked at, the newest, and how many it takes at least. */
export const MOST_DISTANCES = 1024;
const LEAST_DISTANCES = 10;

/** For how long a rhythm has to last, without its pauses, ms: lines that a pipe wrote at once are none, however many they are. */
const LEAST_LASTING = 10_000;

/** The middle half of the distances may differ by this factor; distances that chance makes differ by about five. */
const REGULAR = 2;

/** A pause that came so often belongs to the rhythm, and one of half as long again still does. */
const HABIT = { times: 3, longer: 1.5 } as const;

/** How long a series with a promised interval may be silent, ms; `interval` is 0 while unknown. */
export function promisedPatience(interval: number): number {
  return interval > 0 ? Math.max(PROMISED.least, PROMISED.intervals * interval) : UNKNOWN;
}

/**
 * How long a series may be silent that promised nothing, ms; Infinity where no rhythm has shown itself. `times` are those of
 * its newest samples in Unix ms, in either order; `grain` is how exactly they are known.
 */
export function seenPatience(times: readonly number[], grain = 0): number {
  const count = times.length - 1;
  if (count < LEAST_DISTANCES) return Number.POSITIVE_INFINITY;
  const distances = Float64Array.from({ length: count }, (_, i) =>
    Math.abs(times[i + 1]! - times[i]!),
  ).sort();
  const part = (share: number): number => distances[Math.floor(share * (count - 1))]!;
  if (count * part(0.5) < LEAST_LASTING) return Number.POSITIVE_INFINITY;
  if (part(0.75) > REGULAR * part(0.25) + grain) return Number.POSITIVE_INFINITY;
  const habit = HABIT.longer * distances[count - HABIT.times]!;
  return Math.max(SEEN.least, SEEN.intervals * part(0.5), habit);
}
