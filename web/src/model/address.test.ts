import { describe, expect, test } from 'vitest';
import { readAddress, writeAddress } from './address.ts';
import { parseSpan, spanLabel, spanText, WINDOWS } from './span.ts';

describe('reading a link', () => {
  test('everything it can say', () => {
    expect(
      readAddress('?v=1&window=15m&host=web1&chart=load1&chart=up%7Bjob%3D%22x%22%7D&theme=dark'),
    ).toEqual({
      window: 900,
      host: 'web1',
      charts: ['load1', 'up{job="x"}'],
      theme: 'dark',
    });
  });

  test('nothing', () => {
    expect(readAddress('')).toEqual({ window: null, host: null, charts: [], theme: null });
  });

  test('what cannot be understood counts as not given', () => {
    const address = readAddress('?window=soon&host=&chart=&theme=pink');
    expect(address).toEqual({ window: null, host: null, charts: [], theme: null });
  });

  test('no more charts than there may be rooms', () => {
    expect(readAddress(`?${'chart=load1&'.repeat(100)}`).charts).toHaveLength(24);
  });
});

describe('writing a link', () => {
  test('keeps what it does not know', () => {
    expect(writeAddress('?from=1&zone=utc&chart=a&chart=b', { window: 3600, host: 'web1' })).toBe(
      '?from=1&zone=utc&chart=a&chart=b&v=1&window=1h&host=web1',
    );
  });

  test('leaves out what was not chosen, and never writes a theme', () => {
    expect(writeAddress('?host=web1&window=1h', { window: null, host: null })).toBe('?v=1');
  });

  test('and reading it again gives the same', () => {
    for (const window of WINDOWS) {
      const link = writeAddress('', { window, host: 'a b&c' });
      expect(readAddress(link)).toMatchObject({ window, host: 'a b&c' });
    }
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
  expect(WINDOWS.map(spanLabel)).toEqual(['100 s', '5 min', '15 min', '1 h', '6 h', '24 h']);
});
