import { describe, expect, test } from 'vitest';
import { samplesBy } from '../testing/dump.ts';
import { fixture } from '../testing/fixtures.ts';
import { randomFrom } from '../testing/random.ts';
import { decodeBootstrap, decodeGap, decodeStatus, decodeUpdate } from './decode.ts';
import { Room } from './room.ts';
import type { Bootstrap, Update } from './wire.ts';

const EXTENT = { window: 100_000, points: 1200 };
const T = 1544608800000;

function room(): Room {
  const r = new Room('cpu_usage_percent{host="web1"}', EXTENT);
  r.acknowledged(2);
  return r;
}

function bootstrap(name: string): Bootstrap {
  return decodeBootstrap(fixture(name).arg);
}

function update(name: string): Update {
  return decodeUpdate(fixture(name).arg);
}

describe('the recorded conversation', () => {
  test('bootstrap, then update', () => {
    const r = room();
    expect(r.joined).toBe(false);
    r.bootstrap(bootstrap('bootstrap-join'));
    r.update(update('update'));
    expect(samplesBy(r, 'cpu')).toEqual({
      0: [
        [T, 3.1],
        [T + 1000, 4],
        [T + 2000, 4.25],
        [T + 3000, 5],
      ],
      1: [
        [T, 12.5],
        [T + 1000, Number.NaN],
        [T + 2000, 0],
        [T + 3000, 12.25],
      ],
    });
    expect([r.joined, r.position, r.newest, r.interval]).toEqual([
      true,
      '3k9f-1544608803000-0',
      T + 3000,
      1000,
    ]);
  });

  test('of a history in parts the page knows that more is under way', () => {
    const r = room();
    expect(r.loading).toBe(false);
    r.bootstrap(bootstrap('bootstrap-part-first'));
    expect([r.loading, r.joined]).toEqual([true, false]);
    r.bootstrap(bootstrap('bootstrap-part-last'));
    expect([r.loading, r.joined]).toEqual([false, true]);
  });

  test('an empty history is a history', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-empty'));
    expect([r.joined, r.lines.length, r.position]).toEqual([true, 0, '3k9f-1544608800000-0']);
  });

  test('late samples are put in their place', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.update(update('update-late'));
    expect(samplesBy(r, 'cpu')[0]!.map(([t]) => t - T)).toEqual([-500, 0, 1000, 2000, 3000]);
  });

  test('an update repeated changes nothing', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.update(update('update'));
    const before = samplesBy(r, 'cpu');
    r.update(update('update'));
    expect(samplesBy(r, 'cpu')).toEqual(before);
  });

  test('a new series is learned before its samples are read, and a gone one stays until its window is over', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.update(update('update-changes'));
    expect(Object.keys(samplesBy(r, 'cpu'))).toEqual(['0', '1', '2']);
    expect([r.matched, r.unknown]).toEqual([3, 0]);
    r.update({ ...update('update'), blocks: [], now: T + 2000 + EXTENT.window + 1 });
    expect(Object.keys(samplesBy(r, 'cpu'))).toEqual(['0', '2']);
  });

  test('a bootstrap in parts has a position only when it is complete', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-part-first'));
    expect([r.position, r.joined]).toEqual([null, false]);
    r.bootstrap(bootstrap('bootstrap-part-last'));
    expect([r.position, r.joined]).toEqual(['3k9f-1544608802000-0', true]);
    expect(samplesBy(r, 'cpu')[0]).toEqual([
      [T, 3.1],
      [T + 1000, 4],
      [T + 2000, 4.25],
    ]);
  });

  test('a bootstrap that begins anew amid its parts replaces what came so far', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-part-first'));
    r.bootstrap(bootstrap('bootstrap-lost'));
    expect(samplesBy(r, 'cpu')).toEqual({ 0: [[T + 3000, 5]] });
  });

  test('resuming appends, and series are matched by their labels', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.detach();
    const resumed = bootstrap('bootstrap-resume');
    // Another server counts its series in another order.
    const other = { ...resumed, series: resumed.series!.map(s => ({ ...s, id: 1 - s.id })) };
    r.bootstrap(other);
    expect(samplesBy(r, 'cpu')[0]!.slice(-2)).toEqual([
      [T + 3000, 7],
      [T + 4000, 8],
    ]);
    expect(samplesBy(r, 'cpu')[1]!.slice(-2)).toEqual([
      [T + 3000, 5],
      [T + 4000, 6],
    ]);
    expect(r.position).toBe('3k9f-1544608804000-0');
  });

  test('where the position was lost, everything is replaced', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.detach();
    r.bootstrap(bootstrap('bootstrap-lost'));
    expect(samplesBy(r, 'cpu')).toEqual({ 0: [[T + 3000, 5]] });
  });

  test('columns and samples stand side by side', () => {
    const r = new Room('q', { window: 86_400_000, points: 1200 });
    r.acknowledged(2);
    r.bootstrap(bootstrap('bootstrap-downsampled'));
    expect(r.lines.map(line => [line.columns?.step, line.samples?.length])).toEqual([
      [288_000, undefined],
      [undefined, 1],
    ]);
  });

  test('a gap is noted on the series that it names', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.gap({ ...decodeGap(fixture('gap').arg), ids: [1] });
    expect(r.lines.map(line => line.gaps)).toEqual([
      [],
      [{ from: T + 4000, to: T + 9000, reason: 'log_trimmed' }],
    ]);
  });

  test('the state is what the server said last', () => {
    const r = room();
    for (const name of ['status-stale', 'status-not-stored', 'status-live']) {
      const status = decodeStatus(fixture(name).arg);
      r.status(status);
      expect(r.state).toBe(status.state);
    }
  });
});

test('a row whose id was never explained is left out and counted', () => {
  const r = room();
  r.bootstrap(bootstrap('bootstrap-lost'));
  r.update(update('update'));
  expect(samplesBy(r, 'cpu')).toEqual({ 0: [[T + 3000, 5]] });
  expect(r.unknown).toBe(1);
});

describe('another window', () => {
  test('until its bootstrap came there is no position to resume from, whatever updates say', () => {
    const r = room();
    r.bootstrap(bootstrap('bootstrap-join'));
    r.resize({ window: 300_000, points: 1200 });
    expect(r.position).toBeNull();
    r.update(update('update'));
    expect(r.position).toBeNull();
    r.acknowledged(2);
    r.update(update('update'));
    expect(r.position).toBeNull();
    r.bootstrap(bootstrap('bootstrap-join'));
    expect(r.position).toBe('3k9f-1544608802000-0');
  });

  test('a bootstrap of the window before, still under way, does not count as its bootstrap', () => {
    const r = room();
    r.resize({ window: 300_000, points: 1200 });
    r.bootstrap(bootstrap('bootstrap-join'));
    expect(r.position).toBeNull();
  });
});

test('lines is the same array as long as the lines are the same', () => {
  const r = room();
  r.bootstrap(bootstrap('bootstrap-join'));
  const before = r.lines;
  r.update(update('update'));
  expect(r.lines).toBe(before);
  r.update(update('update-changes'));
  expect(r.lines).not.toBe(before);
});

describe('whatever the connection does, the page ends with every sample once and in order', () => {
  // A small server: a log of samples, some late, of which any suffix can be sent again.
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', seed => {
    const random = randomFrom(seed);
    const log: { t: number; series: number }[] = [];
    for (let i = 0; i < 400; i++) {
      const late = random() < 0.2 ? Math.floor(random() * 20) * 100 : 0;
      log.push({ t: T + i * 100 - late + Math.floor(random() * 50), series: i % 3 });
    }
    const now = T + 40_000;
    const r = new Room('q', EXTENT);
    r.acknowledged(3);
    let ids = [0, 1, 2];
    const blocks = (from: number, to: number) =>
      log.slice(from, to).map(({ t, series }) => ({
        kind: 'raw' as const,
        ids: [ids[series]!],
        x: Float64Array.of(t),
        ys: [Float64Array.of(t % 1000)],
      }));
    const series = () => ids.map((id, s) => ({ id, labels: { s: String(s) }, interval: 100 }));
    let sent = 0;
    let connected = false;
    while (sent < log.length || !connected) {
      if (!connected) {
        ids = random() < 0.5 ? [0, 1, 2] : [2, 0, 1];
        r.acknowledged(3);
        const since = r.position === null ? null : Number(r.position);
        const from = since !== null && random() < 0.7 ? since : 0;
        const middle = from + Math.floor(random() * (sent - from));
        const head = { room: 'r', from: from > 0 ? String(from) : null, now, reason: 'join' as const };
        r.bootstrap({ ...head, position: null, series: series(), blocks: blocks(from, middle), more: true });
        if (random() < 0.3) {
          r.detach();
          continue;
        }
        r.bootstrap({
          ...head,
          position: String(sent),
          series: null,
          blocks: blocks(middle, sent),
          more: false,
        });
        connected = true;
      } else if (random() < 0.1) {
        r.detach();
        connected = false;
      } else {
        const until = Math.min(log.length, sent + Math.floor(random() * 8));
        const again = Math.max(0, sent - Math.floor(random() * 5));
        r.update({
          room: 'r',
          position: String(until),
          now,
          blocks: blocks(again, until),
          series: [],
          gone: [],
          matched: null,
        });
        sent = until;
      }
    }
    for (const line of r.lines) {
      const times = [...new Set(log.filter(e => String(e.series) === line.labels.s).map(e => e.t))].sort(
        (a, b) => a - b,
      );
      const held = line.samples!;
      expect(Array.from({ length: held.length }, (_, i) => held.time(i))).toEqual(times);
    }
  });
});
