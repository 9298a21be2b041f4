import { describe, expect, test } from 'vitest';
import { promisedPatience, seenPatience } from './rhythm.ts';

const NEVER = Number.POSITIVE_INFINITY;
const S = 1_000;

/** Times from distances in ms. */
const spaced = (...distances: number[]): number[] => {
  let time = 1e12;
  return [time, ...distances.map(distance => (time += distance))];
};

const times = (count: number, distance: (i: number) => number): number[] =>
  spaced(...Array.from({ length: count }, (_, i) => distance(i)));

/** The same on every run: numbers from 0 to 1. */
function chance(): () => number {
  let state = 7;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

const random = chance();

describe('a series that promised nothing may be silent for', () => {
  test.each<[string, number[], number]>([
    ['no sample', [], NEVER],
    ['one sample', [1e12], NEVER],
    ['`seq 1 5 | stripchart push`: five lines within milliseconds', times(4, () => 1), NEVER],
    ['a burst of two thousand lines', times(2_000, () => 1), NEVER],
    ['a burst of lines that took nine seconds', times(9_000, () => 1), NEVER],
    ['a hundred a second', times(1_023, () => 10), 10 * S],
    ['two bursts, a minute apart', spaced(1, 1, 1, 1, 1, 1, 60 * S, 1, 1, 1, 1, 1, 1), NEVER],
    ['a burst and a hand', spaced(1, 1, 1, 1, 1, 20 * S, 45 * S, 8 * S, 90 * S, 30 * S, 12 * S), NEVER],
    ['a hand: a few numbers now and then', spaced(4 * S, 30 * S, 9 * S, 70 * S), NEVER],
    ['a hand that keeps on', spaced(...[3, 20, 8, 2, 45, 12, 5, 60, 4, 30, 9, 15].map(s => s * S)), NEVER],
    ['a curl every few minutes', spaced(180 * S, 178 * S, 185 * S), NEVER],
    ['events at random', times(60, () => -5 * S * Math.log(1 - random())), NEVER],
    [
      'a door that is told when it changes',
      spaced(2 * S, 300 * S, 3 * S, 900 * S, 5 * S, 40 * S, 2 * S, 1800 * S, 4 * S, 60 * S, 3 * S),
      NEVER,
    ],
    ['a few old times in one batch', times(5, () => 60 * S), NEVER],
    ['an hour of old times, one a minute', times(60, () => 60 * S), 1_800 * S],
    ['a sensor, one a second', times(60, () => S), 30 * S],
    ['a sensor, one in ten seconds', times(60, () => 10 * S), 300 * S],
    ['twenty a second from a loop that sleeps', times(300, i => 50 + (i % 3) * 4), 10 * S],
    ['one a minute by cron', times(20, i => 60 * S + (i % 5) * 200), 1_812 * S],
    ['one outage in a steady sensor', times(60, i => (i === 30 ? 300 * S : S)), 30 * S],
    ['two of them', times(60, i => (i === 30 || i === 40 ? 300 * S : S)), 30 * S],
    ['a training with an evaluation every ten steps', times(60, i => (i % 10 === 9 ? 60 * S : 500)), 90 * S],
    ['steps of a training of varied length', times(60, i => 450 + (i % 5) * 50), 16_500],
    ['a rhythm that became slower just now', spaced(...times(60, () => S).fill(S), 60 * S), 30 * S],
    [
      'a rhythm that became slower a while ago',
      [...times(40, () => S), ...times(64, () => 60 * S).map(t => t + 60 * S)].slice(-65),
      1_800 * S,
    ],
    [
      'a rhythm that became faster',
      [...times(40, () => 60 * S), ...times(64, () => S).map(t => t + 2_400 * S)].slice(-65),
      30 * S,
    ],
    [
      'half of it slow, half of it fast',
      [...times(20, () => S), ...times(20, () => 10 * S).map(t => t + 20 * S)],
      NEVER,
    ],
  ])('%s', (_name, when, patience) => {
    expect(seenPatience(when)).toBeCloseTo(patience, -3);
    expect(seenPatience([...when].reverse()), 'newest first').toBeCloseTo(patience, -3);
  });

  test('columns, whose times are known to a step, as long as samples', () => {
    const step = 4 * S;
    const columns = times(60, i => 10 * S + (i % 2)).map(t => step * Math.floor(t / step));
    expect(seenPatience(columns, step)).toBeLessThan(NEVER);
  });
});

test('a promised rhythm is broken after three intervals, three seconds at least, half a minute while unknown', () => {
  expect([S, 50, 10 * S, 0].map(promisedPatience)).toEqual([3 * S, 3 * S, 30 * S, 30 * S]);
});
