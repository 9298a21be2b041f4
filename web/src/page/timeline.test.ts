import { signal } from '@preact/signals';
import { expect, test } from 'vitest';
import { Timeline } from './timeline.ts';

function timeline() {
  const clock = { now: 1_000_000 };
  const steps: boolean[] = [];
  const time = new Timeline(
    signal(100),
    () => clock.now,
    step => steps.push(step),
  );
  return { time, clock, steps, shown: () => [time.at(clock.now).from, time.at(clock.now).to] };
}

test('live, the window ends now; paused, it stands still until somebody goes on', () => {
  const { time, clock, shown, steps } = timeline();
  expect(shown()).toEqual([900_000, 1_000_000]);
  time.togglePause();
  clock.now += 5_000;
  expect(shown()).toEqual([900_000, 1_000_000]);
  time.togglePause();
  expect(shown()).toEqual([905_000, 1_005_000]);
  expect(steps).toEqual([false, false]);
});

test('a selection is shown, and one that is too short is made as long as can be drawn', () => {
  const { time, shown, steps } = timeline();
  time.zoom({ from: 950_000, to: 960_000 });
  expect([shown(), steps]).toEqual([[950_000, 960_000], [true]]);
  time.zoom({ from: 950_000, to: 950_010 });
  expect(shown()).toEqual([949_955, 950_055]);
});

test('panning goes back, and forth to now, where the page goes on live', () => {
  const { time, shown } = timeline();
  time.pan(-0.25);
  expect(shown()).toEqual([875_000, 975_000]);
  time.pan(0.25);
  expect(time.fixed.value).toBeNull();
  time.zoom({ from: 980_000, to: 990_000 });
  time.pan(5);
  expect(shown()).toEqual([990_000, 1_000_000]);
  expect(time.fixed.value).not.toBeNull();
});

test('larger and smaller, around the middle, and never into the future', () => {
  const { time, shown } = timeline();
  time.zoom({ from: 940_000, to: 960_000 });
  time.scale(0.5);
  expect(shown()).toEqual([945_000, 955_000]);
  time.scale(20);
  expect(shown()).toEqual([800_000, 1_000_000]);
});

test('before the clock is known nothing is fixed', () => {
  const { time, clock } = timeline();
  clock.now = Number.NaN;
  time.togglePause();
  expect(time.fixed.value).toBeNull();
});
