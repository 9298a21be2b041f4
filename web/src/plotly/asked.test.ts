import { expect, test } from 'vitest';
import { readAsked } from './asked.ts';

test.each([
  ['', { query: null, window: 100, title: '', unit: '%', dark: null }],
  ['?query=room_celsius', { query: 'room_celsius', window: 100, title: 'room_celsius', unit: '°C' }],
  [
    '?query=load1&window=15m&title=Load&unit=jobs&theme=dark',
    { window: 900, title: 'Load', unit: 'jobs', dark: true },
  ],
  ['?window=5m', { query: 'cpu_usage_percent{cpu="total"}', window: 300, unit: '%' }],
  ['?window=100', { query: null, window: 100 }],
  ['?window=0', { query: null, window: 100 }],
  ['?window=1e9', { window: 100 }],
  ['?theme=light', { dark: false }],
])('%s', (search, asked) => {
  expect(readAsked(search, 100)).toMatchObject(asked);
});
