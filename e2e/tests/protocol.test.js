import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scene } from '../support/scene.js';
import { ascending } from '../support/series.js';
import { until } from '../support/until.js';

/** A time of namespace `/`. */
const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?$/;

test(
  'the official client on namespace /: history, then every new sample once, in order',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms');
    await program.untilMeasured(10);
    const client = scene.client(program, '/');
    const bootstrap = await client.event('bootstrap');
    assert.equal(client.events[0]?.name, 'bootstrap', 'the history comes first');
    assert.ok(bootstrap.x.length >= 5, 'with what was before');
    await until('ten updates', () => client.events.length > 10);
    /** @type {string[]} */
    const x = [];
    for (const { name, argument } of client.events) {
      assert.ok(name === 'bootstrap' || name === 'update', name);
      assert.equal(argument.x.length, argument.y.length);
      for (const time of argument.x) assert.match(time, TIME);
      for (const value of argument.y) assert.ok(value >= 0 && value <= 100, `${value} %`);
      x.push(...argument.x);
    }
    ascending(
      'the default series',
      x.map(time => +new Date(time)),
    );
    assert.ok(
      x.slice(1).every((time, i) => +new Date(time) - +new Date(x[i] ?? '') < 5_000),
      'without a hole',
    );
  }),
);

test(
  'the official client on /live: hello, the acknowledgement, the history, and then updates',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms');
    const client = scene.client(program, '/live');
    const hello = await client.event('hello');
    assert.equal(client.events[0]?.name, 'hello', 'it is greeted first');
    assert.equal(hello.protocol, 1);
    assert.equal(hello.window, 100);
    assert.ok(Math.abs(hello.now - Date.now()) < 5_000);
    for (const limit of ['rooms', 'series', 'points', 'window']) assert.ok(hello.limits[limit] > 0, limit);

    const ack = await client.ask('subscribe', { query: 'load1' });
    assert.match(ack.room, /^r-[0-9a-f]{16}$/);
    const bootstrap = await client.event('bootstrap');
    const names = client.events.map(event => event.name);
    assert.deepEqual(names.slice(0, 3), ['hello', '(answer to subscribe)', 'bootstrap']);
    assert.equal(bootstrap.room, ack.room);
    assert.equal(bootstrap.from, null);
    assert.equal(bootstrap.reason, 'join');
    const update = await client.event('update');
    assert.equal(update.room, ack.room);
    assert.notEqual(update.position, bootstrap.position);

    const other = await client.ask('subscribe', { query: '{__name__="load1"}' });
    assert.equal(other.room, ack.room, 'two spellings of a selector are one room');

    await client.ask('unsubscribe', { room: ack.room });
    await sleep(300);
    const start = client.events.length;
    await sleep(500);
    assert.deepEqual(client.events.slice(start), [], 'nothing comes after leaving');

    const catalogue = await client.ask('catalogue', { match: ['{__name__=~"load.+"}'] });
    assert.deepEqual(
      catalogue.series.map((/** @type {any} */ labels) => labels.__name__),
      ['load1', 'load15', 'load5'],
    );
  }),
);

test(
  'a viewer that comes back with its position is sent what it missed, and nothing else',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms');
    const first = scene.client(program, '/live');
    await first.event('hello');
    await first.ask('subscribe', { query: 'load1' });
    await first.event('bootstrap');
    const { position, blocks } = await first.event('update');
    first.close();
    await sleep(500);

    const second = scene.client(program, '/live');
    await second.event('hello');
    await second.ask('subscribe', { query: 'load1', since: position });
    const resumed = await second.event('bootstrap');
    assert.equal(resumed.from, position);
    assert.equal(resumed.reason, 'resume');
    const times = resumed.blocks.flatMap((/** @type {any} */ block) => block.x);
    assert.ok(times.length >= 3, `${times.length} samples were missed`);
    assert.ok(times[0] > blocks[0].x.at(-1));
    ascending('load1', times);

    const start = second.events.length;
    await second.ask('subscribe', { query: 'load5', since: '3k9f-1544608800000-0' });
    const lost = await second.event('bootstrap', start);
    assert.deepEqual([lost.from, lost.reason], [null, 'lost'], 'a place that is gone means everything anew');
  }),
);

test(
  'what cannot be done is refused with a code and a sentence, and the connection goes on',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms');
    const client = scene.client(program, '/live');
    const { limits } = await client.event('hello');

    for (const { event = 'subscribe', argument, code } of [
      { argument: 'load1', code: 'bad_request' },
      { argument: {}, code: 'bad_query' },
      { argument: { query: 'load1', since: 'nonsense' }, code: 'bad_request' },
      { argument: { query: 'load1', window: 0 }, code: 'bad_request' },
      { argument: { query: 'load1', window: limits.window + 1 }, code: 'bad_request' },
      { argument: { query: 'load1', points: 3 }, code: 'bad_request' },
      { argument: { query: 'load1', since: 7 }, code: 'bad_request' },
      { argument: { query: 'load1{' }, code: 'bad_query' },
      { argument: { query: '' }, code: 'bad_query' },
      { argument: { query: 'rate(load1[5m])' }, code: 'unsupported_query' },
      { argument: { query: 'load1 offset 5m' }, code: 'unsupported_query' },
      { event: 'history', argument: { query: 'load1', from: 2, to: 1 }, code: 'bad_request' },
      { event: 'catalogue', argument: { match: ['sum(load1)'] }, code: 'unsupported_query' },
      { event: 'shutdown', argument: {}, code: 'unknown_event' },
    ]) {
      const what = `${event} ${JSON.stringify(argument)}`;
      const answer = await client.request(event, argument);
      assert.equal(answer.ok, false, what);
      assert.equal(answer.error.code, code, `${what}: ${JSON.stringify(answer)}`);
      assert.match(answer.error.message, /\w+ \w+ \w+/, `${what}: ${JSON.stringify(answer)}`);
    }

    for (let i = 0; i < limits.rooms; i++) await client.ask('subscribe', { query: `no_such_metric_${i}` });
    const full = await client.request('subscribe', { query: 'load1' });
    assert.equal(full.error?.code, 'too_many_rooms', JSON.stringify(full));
    await client.ask('unsubscribe', {
      room: (await client.ask('subscribe', { query: 'no_such_metric_0' })).room,
    });
    await client.ask('subscribe', { query: 'load1' });
    const update = await client.event('update');
    assert.ok(update.blocks.length > 0);

    const nowhere = scene.client(program, /** @type {'/'} */ ('/nowhere'));
    assert.match(await nowhere.event('(connect_error)'), /namespace/i);
  }),
);
