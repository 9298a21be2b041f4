import { expect, test } from 'vitest';
import type { Condition } from './condition.ts';
import { titleOf } from './tab.ts';

const live: Condition = { kind: 'live', title: 'live', detail: '' };

test('a tab tells what is wrong, else the first value', () => {
  const told = { condition: live, paused: false, alarm: null, reading: '92 %', host: 'web1' };
  expect(titleOf(told)).toBe('92 % · web1 · Stripchart');
  expect(titleOf({ ...told, paused: true })).toBe('paused · web1 · Stripchart');
  const lost: Condition = { kind: 'lost', title: 'no server', detail: '' };
  expect(titleOf({ ...told, condition: lost })).toBe('no server · web1 · Stripchart');
  const alarm = { level: 'bad', text: 'CPU 97 %' } as const;
  expect(titleOf({ ...told, alarm })).toBe('bad: CPU 97 % · web1 · Stripchart');
  expect(titleOf({ ...told, alarm, condition: lost })).toBe('no server · web1 · Stripchart');
  expect(titleOf({ ...told, reading: '', host: null })).toBe('Stripchart');
});
