import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Presence } from './presence.ts';

/** As much of a browser as presence needs. */
function browser() {
  const tab = { hidden: false, listeners: [] as (() => void)[] };
  vi.stubGlobal('document', {
    get hidden() {
      return tab.hidden;
    },
    addEventListener: (_type: string, listener: () => void) => tab.listeners.push(listener),
  });
  let report: (entries: { target: Element; isIntersecting: boolean }[]) => void = () => {};
  const options: IntersectionObserverInit[] = [];
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      constructor(callback: typeof report, init: IntersectionObserverInit) {
        report = callback;
        options.push(init);
      }
      observe() {}
      unobserve() {}
    },
  );
  return {
    options,
    setHidden(hidden: boolean) {
      tab.hidden = hidden;
      for (const listener of tab.listeners) listener();
    },
    setNear(target: Element, isIntersecting: boolean) {
      report([{ target, isIntersecting }]);
    },
  };
}

const chart = {} as Element;

function watched() {
  const b = browser();
  const presence = new Presence();
  const seen: boolean[] = [];
  const stop = presence.watch(chart, present => seen.push(present));
  return { ...b, seen, stop };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('a chart is present when it is within a viewport of the screen, and not before that is known', () => {
  const { seen, setNear, options } = watched();
  expect(seen).toEqual([false]);
  setNear(chart, true);
  expect(seen).toEqual([false, true]);
  expect(options[0]!.rootMargin).toBe('100% 0px');
});

test('a chart that was scrolled away leaves after ten seconds', () => {
  const { seen, setNear } = watched();
  setNear(chart, true);
  setNear(chart, false);
  vi.advanceTimersByTime(9_999);
  expect(seen.at(-1)).toBe(true);
  vi.advanceTimersByTime(1);
  expect(seen.at(-1)).toBe(false);
});

test('a chart that was scrolled past and back never left', () => {
  const { seen, setNear } = watched();
  setNear(chart, true);
  setNear(chart, false);
  vi.advanceTimersByTime(5_000);
  setNear(chart, true);
  vi.advanceTimersByTime(60_000);
  expect(seen).toEqual([false, true]);
});

test('in a hidden tab charts leave after thirty seconds, and come back with it at once', () => {
  const { seen, setNear, setHidden } = watched();
  setNear(chart, true);
  setHidden(true);
  vi.advanceTimersByTime(29_999);
  expect(seen.at(-1)).toBe(true);
  vi.advanceTimersByTime(1);
  expect(seen.at(-1)).toBe(false);
  setHidden(false);
  expect(seen).toEqual([false, true, false, true]);
});

test('a tab that is hidden for a moment leaves nothing', () => {
  const { seen, setNear, setHidden } = watched();
  setNear(chart, true);
  setHidden(true);
  vi.advanceTimersByTime(20_000);
  setHidden(false);
  vi.advanceTimersByTime(60_000);
  expect(seen).toEqual([false, true]);
});

test('nothing is told any more after the watching was stopped', () => {
  const { seen, setNear, setHidden, stop } = watched();
  setNear(chart, true);
  setNear(chart, false);
  stop();
  setNear(chart, true);
  setHidden(true);
  vi.advanceTimersByTime(120_000);
  expect(seen).toEqual([false, true]);
});
