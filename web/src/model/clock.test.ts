import { expect, test } from 'vitest';
import { ServerClock } from './clock.ts';

function clockAt(elapsed: { ms: number }): ServerClock {
  return new ServerClock(() => elapsed.ms);
}

test('before the first message there is no time', () => {
  const clock = clockAt({ ms: 0 });
  expect(clock.isSet).toBe(false);
  expect(clock.now()).toBeNaN();
});

test('time goes on between messages', () => {
  const elapsed = { ms: 50 };
  const clock = clockAt(elapsed);
  clock.observe(1_000_000);
  elapsed.ms = 1_550;
  expect(clock.now()).toBe(1_001_500);
});

test('a message that was long under way does not turn the clock back', () => {
  const elapsed = { ms: 0 };
  const clock = clockAt(elapsed);
  clock.observe(1_000_000);
  elapsed.ms = 1_000;
  clock.observe(1_000_200);
  expect(clock.now()).toBe(1_001_000);
});

test('a faster message corrects the lag of the ones before it', () => {
  const elapsed = { ms: 300 };
  const clock = clockAt(elapsed);
  clock.observe(1_000_000);
  elapsed.ms = 1_010;
  clock.observe(1_001_000);
  expect(clock.now()).toBe(1_001_000);
});

test('a server whose clock was set back is followed at once', () => {
  const elapsed = { ms: 0 };
  const clock = clockAt(elapsed);
  clock.observe(1_000_000);
  elapsed.ms = 1_000;
  clock.observe(900_000);
  expect(clock.now()).toBe(900_000);
});

test('a slow drift is followed when the old observations are gone', () => {
  const elapsed = { ms: 0 };
  const clock = clockAt(elapsed);
  for (let i = 0; i < 100; i++) {
    elapsed.ms = i * 1_000;
    clock.observe(1_000_000 + i * 990);
  }
  expect(clock.now()).toBeLessThan(1_000_000 + 99 * 990 + 301);
});
