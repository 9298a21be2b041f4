import { describe, expect, test } from 'vitest';
import { fixture, fixtures } from '../testing/fixtures.ts';
import {
  decodeBootstrap,
  decodeBye,
  decodeGap,
  decodeHello,
  decodeStatus,
  decodeSubscribeAck,
  decodeUpdate,
  WireError,
} from './decode.ts';

const decoders: Readonly<Record<string, (message: unknown) => unknown>> = {
  hello: decodeHello,
  bootstrap: decodeBootstrap,
  update: decodeUpdate,
  status: decodeStatus,
  gap: decodeGap,
  bye: decodeBye,
};

describe('every recorded message of /live', () => {
  const recorded = [...fixtures].filter(([, f]) => f.namespace === '/live');

  test.each(recorded.filter(([, f]) => f.sender === 'server' && f.event in decoders))(
    '%s is taken',
    (_name, f) => {
      expect(() => decoders[f.event]!(f.arg)).not.toThrow();
    },
  );

  test.each(recorded.filter(([, f]) => f.event === 'subscribe'))(
    '%s has an answer that is taken',
    (_name, f) => {
      expect(() => decodeSubscribeAck(f.ack)).not.toThrow();
    },
  );

  test('each event that the page listens to was recorded', () => {
    const events = new Set(recorded.map(([, f]) => f.event));
    for (const event of Object.keys(decoders)) expect(events).toContain(event);
  });
});

describe('bootstrap', () => {
  test('raw values: null becomes NaN', () => {
    const { blocks } = decodeBootstrap(fixture('bootstrap-join').arg);
    const block = blocks[0]!;
    if (block.kind !== 'raw') throw new Error('not raw');
    expect([...block.ys[1]!]).toEqual([12.5, Number.NaN, 0]);
  });

  test('downsampled and raw blocks stand side by side', () => {
    const { blocks } = decodeBootstrap(fixture('bootstrap-downsampled').arg);
    expect(blocks.map(block => block.kind)).toEqual(['columns', 'raw']);
  });

  test('only the last part has a position, only the first has series', () => {
    const first = decodeBootstrap(fixture('bootstrap-part-first').arg);
    const last = decodeBootstrap(fixture('bootstrap-part-last').arg);
    expect([first.position, first.more, first.series?.length]).toEqual([null, true, 1]);
    expect([last.position, last.more, last.series]).toEqual(['3k9f-1544608802000-0', false, null]);
  });
});

test('fields of a later version are ignored', () => {
  expect(() => decodeUpdate({ ...fixture('update').arg, colour: 'green' })).not.toThrow();
});

describe('what breaks the protocol is refused whole, with the field and the reason', () => {
  const update = fixture('update').arg;
  const raw = { ids: [0], x: [1000, 2000], y: [[1, 2]] };
  const columns = { ids: [0], x0: 4000, step: 2000, y: [[1, 1, 2, 2]] };
  const withBlock = (block: unknown) => () => decodeUpdate({ ...update, blocks: [block] });

  test.each<[string, () => unknown, string]>([
    ['no object', () => decodeUpdate('update'), 'update: is not an object'],
    ['no room', () => decodeUpdate({ ...update, room: 1 }), 'update.room: is not a string'],
    ['no position', () => decodeUpdate({ ...update, position: null }), 'update.position: is not a string'],
    ['a time that is none', () => decodeUpdate({ ...update, now: 1.5 }), 'update.now: is not a time'],
    [
      'blocks that are no list',
      () => decodeUpdate({ ...update, blocks: {} }),
      'update.blocks: is not a list',
    ],
    ['fewer rows than ids', withBlock({ ...raw, ids: [0, 1] }), 'update.blocks[0].y: has 1 rows for 2 ids'],
    [
      'fewer values than times',
      withBlock({ ...raw, y: [[1]] }),
      'update.blocks[0].y: a row has 1 values for 2 times',
    ],
    [
      'times that stand still',
      withBlock({ ...raw, x: [1000, 1000] }),
      'update.blocks[0].x[1]: does not ascend',
    ],
    [
      'text for a value',
      withBlock({ ...raw, y: [[1, '2']] }),
      'update.blocks[0].y[0][1]: is neither a number nor null',
    ],
    ['a step of 0', withBlock({ ...columns, step: 0 }), 'update.blocks[0].step: is not above 0'],
    [
      'columns off the grid',
      withBlock({ ...columns, x0: 4001 }),
      'update.blocks[0].x0: is not a multiple of the step',
    ],
    [
      'half a column',
      withBlock({ ...columns, y: [[1, 1]] }),
      'update.blocks[0].y: a row has 2 values, not four a column',
    ],
    [
      'an id that is none',
      withBlock({ ...raw, ids: [-1] }),
      'update.blocks[0].ids[0]: is not a whole number',
    ],
    [
      'an unknown state',
      () => decodeStatus({ room: 'r', state: 'fine', since: 1 }),
      'status.state: is none of live, stale, not_stored',
    ],
    [
      'a gap that ends before it begins',
      () => decodeGap({ ...fixture('gap').arg, to: 0 }),
      'gap.to: lies before gap.from',
    ],
    [
      'a label that is no text',
      () => decodeUpdate({ ...update, series: [{ id: 0, labels: { a: 1 }, interval_ms: 0 }] }),
      'update.series[0].labels.a: is not a string',
    ],
    [
      'no last position',
      () => decodeBootstrap({ ...fixture('bootstrap-join').arg, position: undefined }),
      'bootstrap.position: is not a string',
    ],
  ])('%s', (_name, decode, message) => {
    expect(decode).toThrow(new WireError(message));
  });
});

test('no message of the server keeps a page away for longer than a minute', () => {
  expect(decodeBye({ retry_ms: 1e12 }).retry).toBe(60_000);
  expect(decodeBye({ retry_ms: -5 }).retry).toBe(0);
});
