import { expect, test } from 'vitest';
import { absence, type Nothing } from './absence.ts';
import type { Card } from './cards.ts';
import { NO_LIMITS } from './limits.ts';
import { layOut } from './panels.ts';

const SERIES = [{ __name__: 'room_celsius', room: 'lab' }, { __name__: 'load1' }];

function say(query: string, more: Partial<Nothing> = {}) {
  const card: Card = { id: 'c', query, title: null, unit: null, limits: NO_LIMITS, form: null, by: null };
  const [panel] = layOut([card], [], { host: null, hosts: [], series: [] }).panels;
  return absence({ panel: panel!, window: 100, series: SERIES, last: null, now: 1e12, ...more });
}

test('a slip of the pen is no first sample to wait for', () => {
  expect(say('rom_celsius')).toEqual({
    text: 'no such series: rom_celsius; the chart begins with its first sample',
    near: ['room_celsius'],
    show: null,
  });
  expect(say('quite_another').near).toEqual([]);
  expect(say('room_celsius{room="x"}').text).toBe(
    'no series of room_celsius has these labels; the chart begins with the first one',
  );
});

test('a series that was silent for longer than the window says since when', () => {
  expect(say('room_celsius').text).toBe('no sample in the last 100 s');
  const last = { time: 1e12 - 120_000, value: 21.5, unit: 'celsius' } as const;
  expect(say('room_celsius', { last })).toEqual({
    text: 'no sample in the last 100 s; the last one was 2 min ago: 21.5 °C',
    near: [],
    show: 300,
  });
});

test('otherwise the chart waits', () => {
  for (const nothing of [say('.cpu'), say('load2', { series: null }), say('{')])
    expect(nothing.text).toBe('waiting for the first sample');
});
