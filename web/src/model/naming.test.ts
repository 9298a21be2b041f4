import { expect, test } from 'vitest';
import { metricTitle, queryTitle } from './naming.ts';

test.each([
  ['room_celsius', 'Room'],
  ['train_loss', 'Train loss'],
  ['cpu_usage_percent', 'CPU usage'],
  ['http.requests', 'HTTP requests'],
  ['node_network_receive_bytes_total', 'Node network receive'],
  ['_seconds', 'Seconds'],
  ['load1', 'Load1'],
  ['___', '___'],
])('%s is called %s', (name, title) => {
  expect(metricTitle(name)).toBe(title);
});

test.each([
  ['room_celsius', 'Room'],
  ['room_celsius{room="lab",floor!="1"}', 'Room · lab'],
  ['{host="vm"}', '{host="vm"}'],
  ['rate(load1[1m])', 'rate(load1[1m])'],
])('a chart of %s is called %s', (query, title) => {
  expect(queryTitle(query)).toBe(title);
});
