import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ServerClock } from '../model/clock.ts';
import type { Connection } from '../model/condition.ts';
import { decodeHistoryAck } from '../model/decode.ts';
import type { HistoryAck, HistoryRequest } from '../model/wire.ts';
import { samplesBy } from '../testing/dump.ts';
import { fixture } from '../testing/fixtures.ts';
import { FakeTransport } from '../testing/transport.ts';
import { LiveClient, type Subscription } from './client.ts';

const EXTENT = { window: 100_000, points: 1200 };
const QUERY = fixture('subscribe').arg.query as string;
const T = 1544608800000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const transport = new FakeTransport();
  const connections: Connection[] = [];
  const changed: Subscription[] = [];
  const catalogues: string[][] = [];
  const clock = new ServerClock(() => 0);
  const client = new LiveClient(transport, clock, {
    connection: connection => connections.push(connection),
    hello: () => {},
    changed: subscription => changed.push(subscription),
    catalogue: (series, whole) =>
      catalogues.push([...series.map(l => l.__name__ ?? ''), ...(whole ? [] : ['…'])]),
    malformed: () => {},
  });
  client.open();
  return { transport, client, clock, connections, changed, catalogues };
}

const hello = (transport: FakeTransport) => transport.send('hello', fixture('hello').arg);

/** A client in one room, with the recorded history. */
function joined() {
  const started = start();
  const subscription = started.client.subscription(QUERY, EXTENT);
  started.client.join(subscription);
  hello(started.transport);
  started.transport.take()[0]!.answer(fixture('subscribe').ack);
  started.transport.send('bootstrap', fixture('bootstrap-join').arg);
  return { ...started, subscription };
}

describe('joining', () => {
  test('asks as recorded, after hello and not before', () => {
    const { transport, client, connections, clock } = start();
    client.join(client.subscription(QUERY, EXTENT));
    expect(transport.take()).toEqual([]);
    hello(transport);
    expect(transport.take().map(r => [r.event, r.argument])).toEqual([
      ['subscribe', fixture('subscribe').arg],
    ]);
    expect(connections).toEqual([{ kind: 'open' }]);
    expect(clock.now()).toBe(1544608800000);
  });

  test('ends with the history, and updates follow', () => {
    const { transport, subscription, changed } = joined();
    transport.send('update', fixture('update').arg);
    expect(samplesBy(subscription.room, 'cpu')[0]!.at(-1)).toEqual([T + 3000, 5]);
    expect(changed.at(-1)).toBe(subscription);
  });

  test('messages of rooms that are not ours are ignored', () => {
    const { transport, client, subscription } = joined();
    const before = subscription.room.revision;
    transport.send('update', { ...fixture('update').arg, room: 'r-other' });
    expect([subscription.room.revision, client.malformed.count]).toEqual([before, 0]);
  });

  test('two charts of one room both get its messages', () => {
    const { transport, client, subscription } = joined();
    const second = client.subscription(`${QUERY} `, EXTENT);
    client.join(second);
    transport.take()[0]!.answer(fixture('subscribe').ack);
    transport.send('bootstrap', fixture('bootstrap-join').arg);
    transport.send('update', fixture('update').arg);
    expect(samplesBy(second.room, 'cpu')).toEqual(samplesBy(subscription.room, 'cpu'));
  });

  test('a chart whose room was bootstrapped before its answer came asks again', () => {
    const { transport, client } = start();
    const [first, second] = [client.subscription(QUERY, EXTENT), client.subscription(QUERY, EXTENT)];
    client.join(first);
    client.join(second);
    hello(transport);
    const [one, two] = transport.take();
    two!.answer(fixture('subscribe').ack);
    transport.send('bootstrap', fixture('bootstrap-join').arg);
    one!.answer(fixture('subscribe').ack);
    expect(first.room.joined).toBe(false);
    const again = transport.take();
    expect(again.map(r => r.event)).toEqual(['subscribe']);
    again[0]!.answer(fixture('subscribe').ack);
    transport.send('bootstrap', fixture('bootstrap-join').arg);
    expect(samplesBy(first.room, 'cpu')).toEqual(samplesBy(second.room, 'cpu'));
    expect(transport.take()).toEqual([]);
  });
});

describe('a refusal', () => {
  test('is told, and not asked again', () => {
    const { transport, client } = start();
    const subscription = client.subscription('rate(load1[5m])', EXTENT);
    client.join(subscription);
    hello(transport);
    transport.take()[0]!.answer(fixture('subscribe-refused').ack);
    expect(subscription.problem?.code).toBe('unsupported_query');
    expect(subscription.problem?.message).toMatch(/^only selectors such as/);
    vi.advanceTimersByTime(3_600_000);
    expect(transport.take()).toEqual([]);
  });

  test.each(['not_ready', 'overloaded', 'internal'])(
    'that passes (%s) is asked again, ever more slowly',
    code => {
      const { transport, client } = start();
      client.join(client.subscription(QUERY, EXTENT));
      hello(transport);
      const times: number[] = [];
      for (let ms = 0; ms < 60_000; ms += 500) {
        for (const request of transport.take()) {
          times.push(ms);
          request.answer({ ok: false, error: { code, message: 'try again' } });
        }
        vi.advanceTimersByTime(500);
      }
      expect(times).toEqual([0, 1000, 3000, 7000, 15_000, 30_000, 45_000]);
    },
  );

  test('is forgotten when a later request succeeds', () => {
    const { transport, client } = start();
    const subscription = client.subscription(QUERY, EXTENT);
    client.join(subscription);
    hello(transport);
    transport.take()[0]!.answer({ ok: false, error: { code: 'not_ready', message: 'wait' } });
    vi.advanceTimersByTime(1_000);
    transport.take()[0]!.answer(fixture('subscribe').ack);
    expect(subscription.problem).toBeNull();
  });
});

test('a request that is not answered is asked again', () => {
  const { transport, client } = start();
  client.join(client.subscription(QUERY, EXTENT));
  hello(transport);
  transport.take()[0]!.answer(undefined);
  vi.advanceTimersByTime(1_000);
  expect(transport.take()).toHaveLength(1);
  expect(client.malformed.count).toBe(0);
});

describe('after a lost connection', () => {
  test('each room is asked for from the position that it has reached, as recorded', () => {
    const { transport, subscription, connections } = joined();
    transport.send('update', fixture('update').arg);
    transport.lose();
    expect(connections.at(-1)).toEqual({ kind: 'lost' });
    hello(transport);
    const request = transport.take()[0]!;
    expect(request.argument).toEqual(fixture('subscribe-since').arg);
    request.answer(fixture('subscribe-since').ack);
    const resume = fixture('bootstrap-resume').arg;
    transport.send('bootstrap', { ...resume, from: '3k9f-1544608803000-0' });
    expect(samplesBy(subscription.room, 'cpu')[0]!.map(([t]) => t - T)).toEqual([0, 1000, 2000, 3000, 4000]);
  });

  test('amid a bootstrap everything is asked for again', () => {
    const { transport, client } = start();
    client.join(client.subscription(QUERY, EXTENT));
    hello(transport);
    transport.take()[0]!.answer(fixture('subscribe').ack);
    transport.send('bootstrap', fixture('bootstrap-part-first').arg);
    transport.lose();
    hello(transport);
    expect(transport.take()[0]!.argument).not.toHaveProperty('since');
  });

  test('an answer of the old connection is not taken for one of the new', () => {
    const { transport, client } = start();
    const subscription = client.subscription(QUERY, EXTENT);
    client.join(subscription);
    hello(transport);
    const old = transport.take()[0]!;
    transport.lose();
    old.answer(undefined);
    hello(transport);
    expect(transport.take()).toHaveLength(1);
    vi.advanceTimersByTime(60_000);
    expect(transport.take()).toEqual([]);
  });

  test('nothing is asked before the next hello', () => {
    const { transport, client } = joined();
    transport.lose();
    client.join(client.subscription('load1', EXTENT));
    vi.advanceTimersByTime(60_000);
    expect(transport.take()).toEqual([]);
  });
});

describe('a planned stop', () => {
  test('puts off the next attempt as the server asks, and says why', () => {
    const { transport, connections } = joined();
    transport.send('bye', fixture('bye').arg);
    transport.lose();
    expect(transport.postponed).toBe(1_500);
    expect(connections.at(-1)).toEqual({ kind: 'restarting' });
    hello(transport);
    transport.lose();
    expect(connections.at(-1)).toEqual({ kind: 'lost' });
  });
});

describe('leaving', () => {
  test('and coming back goes on where it was', () => {
    const { transport, client, subscription } = joined();
    client.leave(subscription);
    expect(transport.take().map(r => [r.event, r.argument])).toEqual([
      ['unsubscribe', fixture('unsubscribe').arg],
    ]);
    transport.send('update', fixture('update').arg);
    expect(subscription.room.newest).toBe(T + 2000);
    client.join(subscription);
    expect(transport.take()[0]!.argument.since).toBe('3k9f-1544608802000-0');
  });

  test('before the answer came leaves as soon as it comes', () => {
    const { transport, client } = start();
    const subscription = client.subscription(QUERY, EXTENT);
    client.join(subscription);
    hello(transport);
    const request = transport.take()[0]!;
    client.leave(subscription);
    expect(transport.take()).toEqual([]);
    request.answer(fixture('subscribe').ack);
    expect(transport.take().map(r => r.event)).toEqual(['unsubscribe']);
  });

  test('one of two charts of a room does not take it from the other', () => {
    const { transport, client, subscription } = joined();
    const second = client.subscription(QUERY, EXTENT);
    client.join(second);
    transport.take()[0]!.answer(fixture('subscribe').ack);
    client.drop(second);
    expect(transport.take()).toEqual([]);
    transport.send('update', fixture('update').arg);
    expect(subscription.room.newest).toBe(T + 3000);
  });

  test('for good forgets the room', () => {
    const { transport, client, subscription } = joined();
    client.drop(subscription);
    transport.take();
    transport.lose();
    hello(transport);
    expect(transport.take()).toEqual([]);
  });
});

test('another window is asked for without a position, since all of it is needed', () => {
  const { transport, client, subscription } = joined();
  client.resize(subscription, { window: 900_000, points: 2400 });
  expect(transport.take()[0]!.argument).toEqual({ query: QUERY, window: 900, points: 2400 });
});

test('a message that breaks the protocol is dropped and counted, and the next one is taken', () => {
  const { transport, client, subscription } = joined();
  transport.send('update', { ...fixture('update').arg, position: 7 });
  expect(client.malformed).toEqual({ count: 1, last: 'update.position: is not a string' });
  transport.send('update', fixture('update').arg);
  expect(subscription.room.newest).toBe(T + 3000);
});

test('events of a later protocol are ignored', () => {
  const { transport, client } = joined();
  transport.send('weather', { sunny: true });
  expect(client.malformed.count).toBe(0);
});

test('a server of another protocol ends it: the page says so and does not try again', () => {
  const { transport, connections } = start();
  transport.send('hello', { ...fixture('hello').arg, protocol: 2 });
  expect([transport.closed, connections]).toEqual([true, [{ kind: 'outdated' }]]);
});

test('a refused connection is told with the server’s words', () => {
  const { transport, connections } = start();
  transport.refuse('log in first');
  expect(connections).toEqual([{ kind: 'refused', message: 'log in first' }]);
});

describe('which series there are', () => {
  const MATCH = fixture('catalogue').arg.match as string[];

  test('is asked on every connection, and told with every change', () => {
    const { transport, client, catalogues } = start();
    client.watch(MATCH);
    expect(transport.take()).toEqual([]);
    hello(transport);
    const [asked] = transport.take();
    expect([asked!.event, asked!.argument]).toEqual(['catalogue', fixture('catalogue').arg]);
    asked!.answer(fixture('catalogue').ack);
    transport.send('catalogue', { added: [{ __name__: 'load1', host: 'web1' }] });
    expect(catalogues).toEqual([
      ['cpu_usage_percent', 'cpu_usage_percent'],
      ['cpu_usage_percent', 'cpu_usage_percent', 'load1'],
    ]);
    transport.lose();
    hello(transport);
    const [again] = transport.take();
    again!.answer({ ok: true, series: [] });
    expect(catalogues.at(-1)).toEqual([]);
  });

  test('the answer to an older question does not count', () => {
    const { transport, client, catalogues } = start();
    hello(transport);
    client.watch(MATCH);
    client.watch(['load1']);
    const [older, newer] = transport.take();
    newer!.answer({ ok: true, series: [{ __name__: 'load1' }] });
    older!.answer(fixture('catalogue').ack);
    expect(catalogues).toEqual([['load1']]);
  });

  test('is asked of all of them, and a list that is cut says so', () => {
    const { transport, client, catalogues } = start();
    hello(transport);
    client.watch([]);
    const [asked] = transport.take();
    expect(asked!.argument).toEqual({});
    asked!.answer({ ok: true, series: [{ __name__: 'load1' }], truncated: true });
    expect(catalogues).toEqual([['load1', '…']]);
  });

  test('is asked again when the server was busy', () => {
    const { transport, client } = start();
    hello(transport);
    client.watch(MATCH);
    transport.take()[0]!.answer({ ok: false, error: { code: 'not_ready', message: 'wait' } });
    vi.advanceTimersByTime(15_000);
    expect(transport.take().map(r => r.event)).toEqual(['catalogue']);
  });
});

describe('the past', () => {
  const { arg, ack } = fixture('history');
  const request = arg as unknown as HistoryRequest;

  test('is asked for and answered', () => {
    const { transport, client } = start();
    hello(transport);
    const answers: HistoryAck[] = [];
    client.history(request, answer => answers.push(answer));
    const [asked] = transport.take();
    expect([asked!.event, asked!.argument]).toEqual(['history', arg]);
    asked!.answer(ack);
    expect(answers).toEqual([decodeHistoryAck(ack)]);
  });

  test('has an answer whatever happens', () => {
    const { transport, client } = start();
    const codes: string[] = [];
    const note = (answer: HistoryAck) => codes.push(answer.ok ? 'ok' : answer.code);
    client.history(request, note);
    hello(transport);
    client.history(request, note);
    client.history(request, note);
    client.history(request, note);
    const [silent, odd, busy] = transport.take();
    silent!.answer(undefined);
    odd!.answer({ ok: true });
    busy!.answer({ ok: false, error: { code: 'overloaded', message: 'wait' } });
    expect(codes).toEqual(['no_answer', 'no_answer', 'no_answer', 'overloaded']);
    expect(client.malformed.count).toBe(1);
  });
});

describe('a gap', () => {
  const gap = fixture('gap').arg;
  const held = (subscription: Subscription) => subscription.room.lines.map(line => line.gaps.length);

  test('is kept over a resume, and told again it is the same one, whatever the ids are then', () => {
    const { transport, subscription } = joined();
    transport.send('gap', { ...gap, ids: [1] });
    expect(held(subscription)).toEqual([0, 1]);
    transport.lose();
    hello(transport);
    transport.take()[0]!.answer(fixture('subscribe').ack);
    const resumed = fixture('bootstrap-resume').arg;
    const series = (resumed.series as { id: number }[]).map(s => ({ ...s, id: s.id + 40 }));
    transport.send('bootstrap', { ...resumed, series, blocks: [] });
    expect(held(subscription)).toEqual([0, 1]);
    transport.send('gap', { ...gap, ids: [41] });
    expect(held(subscription)).toEqual([0, 1]);
    transport.send('gap', { ...gap, ids: [40] });
    expect(held(subscription)).toEqual([1, 1]);
  });

  test('goes with the bootstrap that replaces everything', () => {
    const { transport, subscription } = joined();
    transport.send('gap', gap);
    transport.send('bootstrap', fixture('bootstrap-join').arg);
    expect(held(subscription)).toEqual([0, 0]);
  });

  test('goes when it has left the window', () => {
    const { transport, subscription } = joined();
    transport.send('gap', gap);
    const leave = (gap.to as number) + EXTENT.window;
    transport.send('update', { ...fixture('update').arg, blocks: [], now: leave });
    expect(held(subscription)).toEqual([1, 1]);
    transport.send('update', { ...fixture('update').arg, blocks: [], now: leave + 1 });
    expect(held(subscription)).toEqual([0, 0]);
  });
});
