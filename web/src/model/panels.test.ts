import { expect, test } from 'vitest';
import { panels } from './panels.ts';

const always = (host: string | null, known: string[]) =>
  panels([], host, known).filter(panel => panel.onlyWith === null);

test('without a choice: the vitals of all hosts, total CPU large on top', () => {
  const all = always(null, ['web1']);
  expect(all.map(panel => [panel.title, panel.query])).toEqual([
    ['CPU', 'cpu_usage_percent{cpu="total"}'],
    ['CPU by core', 'cpu_usage_percent{cpu!="total"}'],
    [
      'Memory',
      '{__name__=~"memory_used_bytes|memory_available_bytes|memory_cached_bytes|memory_total_bytes|swap_used_bytes"}',
    ],
    ['Load', '{__name__=~"load1|load5|load15"}'],
    ['Disk', '{__name__=~"disk_(read|write)_bytes_per_second"}'],
    ['Network', '{__name__=~"network_(receive|transmit)_bytes_per_second"}'],
  ]);
  expect(all.map(panel => panel.hero)).toEqual([true, false, false, false, false, false]);
});

test('below the vitals: of one host, what not every machine has', () => {
  const rest = panels([], null, ['web1', 'web2']).slice(6);
  expect(rest.map(panel => [panel.title, panel.query, panel.onlyWith])).toEqual([
    ['CPU by mode · web1', 'cpu_mode_percent{mode!="idle",host="web1"}', 'cpu_mode_percent'],
    ['Pressure · web1', 'pressure_some_percent{host="web1"}', 'pressure_some_percent'],
    ['Disk busy · web1', 'disk_busy_percent{host="web1"}', 'disk_busy_percent'],
    ['Filesystems · web1', 'filesystem_used_percent{host="web1"}', 'filesystem_used_percent'],
    ['Temperature · web1', 'temperature_celsius{host="web1"}', 'temperature_celsius'],
  ]);
});

test('with a host: its series only, and its name cannot break out of the query', () => {
  const [cpu, , memory] = panels([], 'a"b', ['a"b']);
  expect(cpu!.query).toBe('cpu_usage_percent{cpu="total",host="a\\"b"}');
  expect(memory!.query).toMatch(/^\{__name__=~".*",host="a\\"b"\}$/);
});

test('with several hosts the cores of one are shown', () => {
  const [cpu, cores] = panels([], null, ['web1', 'web2']);
  expect(cpu!.query).toBe('cpu_usage_percent{cpu="total"}');
  expect([cores!.title, cores!.query]).toEqual([
    'CPU by core · web1',
    'cpu_usage_percent{cpu!="total",host="web1"}',
  ]);
});

test('a link may ask for charts of its own', () => {
  expect(panels(['load1', 'up'], null, []).map(panel => panel.query)).toEqual(['load1', 'up']);
});

test('every panel has an id of its own', () => {
  const ids = [...panels([], null, []), ...panels(['a', 'a'], null, [])].map(panel => panel.id);
  expect(new Set(ids).size).toBe(ids.length);
});
