import { describe, expect, test } from 'vitest';
import { readAddress, writeAddress } from './address.ts';
import type { Layout } from './cards.ts';
import { NO_LIMITS } from './limits.ts';
import { parseSpan, spanLabel, spanText, WINDOWS } from './span.ts';

const card = (query: string, more = {}) => ({
  query,
  title: null,
  unit: null,
  limits: NO_LIMITS,
  form: null,
  by: null,
  ...more,
});
const STANDARD = [{ id: 'own', ...card('.own') }];

describe('reading a link', () => {
  test('everything it can say', () => {
    const link =
      '?v=1&window=15m&host=web1&chart=load1&title=Load&chart=up%7Bjob%3D%22x%22%7D&unit=hertz&hide=a&theme=dark';
    expect(readAddress(link)).toEqual({
      window: 900,
      fixed: null,
      host: 'web1',
      wall: null,
      layout: {
        cards: [
          { id: 'chart-0', ...card('load1', { title: 'Load' }) },
          { id: 'chart-1', ...card('up{job="x"}', { unit: 'hertz' }) },
        ],
        hidden: ['a'],
      },
      theme: 'dark',
      faults: [],
    });
  });

  test('nothing', () => {
    expect(readAddress('')).toEqual({
      window: null,
      fixed: null,
      host: null,
      wall: null,
      layout: null,
      theme: null,
      faults: [],
    });
  });

  test('what cannot be understood counts as not given, and a window says so', () => {
    const address = readAddress('?window=soon&host=&chart=&theme=pink&title=of+nothing&unit=ells');
    expect(address).toMatchObject({ window: null, host: null, layout: null, theme: null });
    expect(address.faults).toEqual([expect.stringContaining('“soon” is no window')]);
  });

  test('no more charts than there may be rooms, and says so', () => {
    const { layout, faults } = readAddress(`?${'chart=load1&'.repeat(100)}title=of+none`);
    expect(layout!.cards).toHaveLength(24);
    expect(layout!.cards.at(-1)!.title).toBeNull();
    expect(faults).toEqual([expect.stringContaining('24 of the link’s 100 charts')]);
  });
});

test.each<[string, number | null, string]>([
  ['', null, '?v=1'],
  ['?wall', 20, '?wall=&v=1'],
  ['?wall=45s', 45, '?wall=45s&v=1'],
  ['?wall=often', 20, '?wall=often&v=1'],
])('a wall: %s', (search, wall, written) => {
  expect(readAddress(search).wall).toBe(wall);
  const layout = { cards: STANDARD, hidden: [] };
  const choices = { window: null, fixed: null, host: null, wall, layout };
  expect(writeAddress(search, choices, STANDARD)).toBe(written);
  expect(writeAddress(search, { ...choices, wall: null }, STANDARD)).toBe('?v=1');
});

describe('a stretch of time that stands still', () => {
  test('is read and written', () => {
    const fixed = { from: 1_544_608_800_000, to: 1_544_608_860_000 };
    const link = writeAddress(
      '',
      { window: null, fixed, host: null, wall: null, layout: { cards: STANDARD, hidden: [] } },
      STANDARD,
    );
    expect(link).toBe('?v=1&from=1544608800000&to=1544608860000');
    expect(readAddress(link).fixed).toEqual(fixed);
  });

  test.each(['?from=1', '?from=5&to=5', '?from=yesterday&to=today'])('none, which is told: %s', link => {
    const { fixed, faults } = readAddress(link);
    expect([fixed, faults.length]).toEqual([null, 1]);
  });
});

describe('writing a link', () => {
  const write = (search: string, window: number | null, host: string | null, layout: Layout) =>
    writeAddress(search, { window, fixed: null, host, wall: null, layout }, STANDARD);

  test('keeps what it does not know', () => {
    const layout = readAddress('?chart=a&chart=b&title=B').layout!;
    expect(write('?later=1&zone=utc&chart=x', 3600, 'web1', layout)).toBe(
      '?later=1&zone=utc&v=1&window=1h&host=web1&chart=a&chart=b&title=B',
    );
  });

  test('leaves out what was not chosen, and never writes a theme', () => {
    expect(write('?host=web1&window=1h', null, null, { cards: STANDARD, hidden: [] })).toBe('?v=1');
  });

  test('and reading it again gives the same', () => {
    const layout = {
      cards: [
        { id: 'chart-0', ...card('.own') },
        { id: 'chart-1', ...card('{a="&"}', { title: 'ä=&', unit: 'bytes', form: 'stack' }) },
        {
          id: 'chart-2',
          ...card('load1', {
            limits: { warn: { value: 4, below: false }, bad: { value: -1.5, below: true } },
          }),
        },
      ],
      hidden: ['room_celsius', 'b'],
    };
    for (const window of WINDOWS) {
      const link = write('', window, 'a b&c', layout);
      expect(readAddress(link)).toMatchObject({ window, host: 'a b&c', layout });
    }
  });

  test('what was hidden on the page as it is needs no list of charts', () => {
    expect(write('', null, null, { cards: STANDARD, hidden: ['x'] })).toBe('?v=1&hide=x');
  });
});

test.each([
  ['100s', 100],
  ['15m', 900],
  ['24h', 86_400],
  ['1d', 86_400],
  ['30d', 2_592_000],
  ['31d', null],
  ['0s', null],
  ['-5m', null],
  ['1.5h', null],
  ['15', null],
  ['', null],
])('the span %s is %s seconds', (text, seconds) => {
  expect(parseSpan(text)).toBe(seconds);
});

test('spans are spelt in their largest whole unit', () => {
  expect([100, 300, 3_600, 86_400, 90].map(spanText)).toEqual(['100s', '5m', '1h', '1d', '90s']);
  expect(spanLabel(604_800)).toBe('7 d');
  expect(WINDOWS.map(spanLabel)).toEqual(['100 s', '5 min', '15 min', '1 h', '6 h', '24 h']);
});
