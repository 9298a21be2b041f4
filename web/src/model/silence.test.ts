import { expect, test } from 'vitest';
import { Line } from './line.ts';
import { silentHosts } from './silence.ts';

function line(host: string, newest: number, name = 'load1'): Line {
  const line = new Line({ __name__: name, host }, 1000, { window: 1e6, points: 100 });
  line.add(newest, 1, newest);
  return line;
}

test('a host is silent when none of its lines goes on, until one does, also when they have left the window', () => {
  const now = 100_000;
  const lines = [line('web1', now - 500), line('web2', now - 40_000), line('web2', now - 40_000, 'load5')];
  const silent = silentHosts(new Set(), lines, now);
  expect([...silent]).toEqual(['web2']);
  expect([...silentHosts(silent, [line('web1', now)], now)]).toEqual(['web2']);
  expect([...silentHosts(silent, [line('web2', now), line('web2', now - 40_000, 'load5')], now)]).toEqual([]);
  expect([...silentHosts(new Set(), [line('web3', 0, 'own')], now)]).toEqual([]);
});
