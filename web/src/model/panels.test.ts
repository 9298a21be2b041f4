import { describe, expect, test } from 'vitest';
import type { Card } from './cards.ts';
import { NO_LIMITS } from './limits.ts';
import { layOut, type Situation, STANDARD } from './panels.ts';

const NOBODY: Situation = { host: null, hosts: [], series: [] };
const card = (query: string, more: Partial<Card> = {}): Card => ({
  id: query,
  query,
  title: null,
  unit: null,
  limits: NO_LIMITS,
  form: null,
  by: null,
  ...more,
});
/** What tells that a machine is measured. */
const MEASURED = { __name__: 'load1', host: 'web1' };
const standard = ({ series = [], ...situation }: Partial<Situation> = {}) =>
  layOut(STANDARD, [], { ...NOBODY, ...situation, series: [...series, MEASURED] }).panels;
const titles = (situation: Partial<Situation>) => standard(situation).map(panel => panel.title);

test('without a choice: the vitals of all hosts, total CPU large on top', () => {
  const all = standard();
  expect(all.map(panel => [panel.title, panel.query])).toEqual([
    ['CPU', 'cpu_usage_percent{cpu="total"}'],
    ['CPU by core', 'cpu_usage_percent{cpu!="total"}'],
    ['Memory', '{__name__=~"memory_used_bytes|memory_cached_bytes|memory_total_bytes|swap_used_bytes"}'],
    ['Load', '{__name__=~"load1|load5|load15"}'],
    ['Disk', '{__name__=~"disk_read_bytes_per_second|disk_write_bytes_per_second"}'],
    ['Network', '{__name__=~"network_receive_bytes_per_second|network_transmit_bytes_per_second"}'],
  ]);
  expect(all.map(panel => panel.hero)).toEqual([true, false, false, false, false, false]);
});

test('below the vitals: of one host, what not every machine has', () => {
  const busy = { __name__: 'disk_busy_percent', host: 'web1', device: 'sda' };
  const modes = { __name__: 'cpu_mode_percent', host: 'web2', mode: 'user' };
  const hosts = ['web1', 'web2'];
  const rest = standard({ hosts, series: [busy, modes] }).slice(6);
  expect(rest.map(panel => [panel.title, panel.query])).toEqual([
    ['Disk busy · web1', 'disk_busy_percent{host="web1"}'],
  ]);
  expect(standard({ host: 'web2', hosts, series: [busy, modes] }).at(-1)!.title).toBe('CPU by mode');
});

test('with a host: its series only, and its name cannot break out of the query', () => {
  const [cpu, , memory] = standard({ host: 'a"b', hosts: ['a"b'] });
  expect(cpu!.query).toBe('cpu_usage_percent{cpu="total",host="a\\"b"}');
  expect(memory!.query).toMatch(/^\{__name__=~".*",host="a\\"b"\}$/);
});

test('with several hosts a line for each is shown, and the cores of one', () => {
  const [cpu, cores, memory, load] = standard({ hosts: ['web1', 'web2'] });
  expect([memory!.query, load!.query]).toEqual(['memory_used_bytes', 'load1']);
  expect(cpu!.query).toBe('cpu_usage_percent{cpu="total"}');
  expect([cores!.title, cores!.query]).toEqual([
    'CPU by core · web1',
    'cpu_usage_percent{cpu!="total",host="web1"}',
  ]);
});

describe('own series', () => {
  const room = { __name__: 'room_celsius', room: 'lab' };

  test('have a chart each, above the vitals, in the order in which they came', () => {
    const loss = { __name__: 'train_loss' };
    expect(titles({ series: [room, loss, { ...room, room: 'cellar' }] }).slice(0, 3)).toEqual([
      'Room',
      'Train loss',
      'CPU',
    ]);
    expect(standard({ series: [room] })[0]).toMatchObject({
      query: 'room_celsius',
      subtitle: 'room_celsius',
    });
  });

  test('are not what the collector measures, but may be called like it', () => {
    const processes = { __name__: 'processes', host: 'web1' };
    const temperature = { __name__: 'temperature_celsius', room: 'lab' };
    expect(titles({ series: [processes] })).toHaveLength(6);
    expect(titles({ hosts: ['a', 'b'], series: [processes, temperature] })[0]).toBe('Temperature');
  });

  test('that a chart of the view shows need no other one', () => {
    const of = (query: string) =>
      layOut([card(query), card('.own')], [], { ...NOBODY, series: [room, { ...room, room: 'cellar' }] })
        .panels;
    expect(of('room_celsius').map(panel => panel.query)).toEqual(['room_celsius']);
    expect(of('room_celsius{room="lab"}').map(panel => panel.query)).toEqual([
      'room_celsius{room="lab"}',
      'room_celsius',
    ]);
  });

  test('that were removed stay away, and so do those of another host', () => {
    expect(layOut(STANDARD, ['room_celsius'], { ...NOBODY, series: [room, MEASURED] }).panels).toHaveLength(
      6,
    );
    const there = [{ ...room, host: 'web2' }];
    expect(titles({ host: 'web1', hosts: ['web1', 'web2'], series: there })).toHaveLength(6);
    expect(standard({ host: 'web2', hosts: ['web2'], series: there })[0]!.query).toBe(
      'room_celsius{host=~"|web2"}',
    );
  });

  test('are alone where no machine is measured, and the first of them is the large chart', () => {
    const { panels } = layOut(STANDARD, [], { ...NOBODY, series: [room, { __name__: 'train_loss' }] });
    expect(panels.map(({ title, hero }) => [title, hero])).toEqual([
      ['Room', true],
      ['Train loss', false],
    ]);
  });

  test('that are too many are counted', () => {
    const own = Array.from({ length: 40 }, (_, i) => ({ __name__: `own${i}` }));
    const series = [...own, MEASURED];
    const { panels, more } = layOut(STANDARD, [], { ...NOBODY, series });
    expect([panels.length, more]).toEqual([18, 28]);
  });
});

describe('a view of its own', () => {
  const of = (cards: readonly Card[], situation: Partial<Situation> = {}) =>
    layOut(cards, [], { ...NOBODY, ...situation }).panels;

  test('has its charts only, the first of them large', () => {
    const panels = of([card('load1'), card('sum(load1)')], { series: [{ __name__: 'room' }] });
    expect(panels.map(({ query, title, hero }) => [query, title, hero])).toEqual([
      ['load1', 'Load1', true],
      ['sum(load1)', 'sum(load1)', false],
    ]);
  });

  test('names its charts and tells their units', () => {
    const [panel] = of([card('room', { title: 'The lab', unit: 'celsius' })]);
    expect(panel).toMatchObject({ title: 'The lab', subtitle: 'room', unit: 'celsius' });
  });

  test('follows the chosen host', () => {
    expect(of([card('load1')], { host: 'web1', hosts: ['web1'] })[0]!.query).toBe('load1{host=~"|web1"}');
  });

  test('may name a metric whose name is no selector', () => {
    const series = [{ __name__: 'http.requests' }];
    expect(of([card('http.requests')], { series })[0]!.query).toBe('{__name__="http.requests"}');
    expect(of([card('http.requests')])[0]!.query).toBe('http.requests');
  });

  test('has nothing where it names a chart that the page does not have', () => {
    expect(of([card('.nonsense')])).toEqual([]);
  });
});

test('every panel has an id of its own', () => {
  const series = [{ __name__: 'a b' }, { __name__: 'a.b' }];
  const ids = standard({ series }).map(panel => panel.id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.join()).not.toContain(' ');
});

test('a host has its memory stacked and its network mirrored; of several hosts memory is lines; a card may choose', () => {
  const forms = (situation: Situation, cards = STANDARD) =>
    Object.fromEntries(layOut(cards, [], situation).panels.map(panel => [panel.id, panel.form]));
  const one = forms({ ...NOBODY, hosts: ['a'] });
  expect([one.memory, one.network, one.disk, one.load]).toEqual(['stack', 'mirror', 'mirror', 'lines']);
  const several = forms({ ...NOBODY, hosts: ['a', 'b'] });
  expect([several.memory, several.network]).toEqual(['lines', 'mirror']);
  expect(forms(NOBODY, [card('.memory', { form: 'log' }), card('x')])).toEqual({
    '.memory': 'log',
    x: 'lines',
  });
});

test('a card may be a chart for each value of a label, as many as there are', () => {
  const series = ['lab', 'cellar', ''].map(room => ({ __name__: 'room_celsius', ...(room && { room }) }));
  const split = (known: typeof series) =>
    layOut([card('room_celsius', { by: 'room' })], [], { ...NOBODY, series: known }).panels;
  expect(split(series).map(({ title, query }) => [title, query])).toEqual([
    ['Room', 'room_celsius{room=""}'],
    ['Room · cellar', 'room_celsius{room="cellar"}'],
    ['Room · lab', 'room_celsius{room="lab"}'],
  ]);
  expect(split([]).map(({ query }) => query)).toEqual(['room_celsius']);
  expect(new Set(split(series).map(({ id }) => id)).size).toBe(3);
});
