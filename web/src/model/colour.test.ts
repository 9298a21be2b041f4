import { describe, expect, test } from 'vitest';
import css from '../ui/theme.css?raw';
import { assignInks, DASHES, PALETTE } from './colour.ts';

/** The value of a custom property in a theme. */
function property(theme: 'light' | 'dark', name: string): string {
  const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css);
  if (!found) throw new Error(`--${name} is not set`);
  return found[theme === 'light' ? 1 : 2]!;
}

/** Contrast of two colours as WCAG 2 defines it, 1 to 21. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r, g, b] = [1, 3, 5].map(i => {
      const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

describe.each(['light', 'dark'] as const)('the %s palette', theme => {
  test.each(PALETTE[theme].map((colour, i) => [i, colour] as const))(
    'colour %i stands 3:1 on the paper',
    (_i, colour) => {
      expect(contrast(colour, property(theme, 'paper'))).toBeGreaterThanOrEqual(3);
    },
  );

  test('is the one of the legends', () => {
    expect(PALETTE[theme].map((_, i) => property(theme, `ink-${i}`))).toEqual(PALETTE[theme]);
  });

  test.each(['text', 'muted', 'good', 'warn', 'bad'])(
    'the text colour %s stands 4.5:1 on paper and desk',
    name => {
      for (const surface of ['paper', 'desk']) {
        expect(contrast(property(theme, name), property(theme, surface))).toBeGreaterThanOrEqual(4.5);
      }
    },
  );
});

describe('a line’s ink', () => {
  const look = (keys: string[], taken?: Parameters<typeof assignInks>[1]) => assignInks(keys, taken);

  test('is the same on every chart and after a reload', () => {
    const there = look(['receive eth0', 'transmit eth0']);
    const here = look(['transmit eth0', 'receive eth0']);
    expect(here.get('receive eth0')).toEqual(there.get('receive eth0'));
  });

  test('of cores runs through the palette in order', () => {
    const inks = look(['0', '1', '2', '3', '4', '5', '6', '7']);
    expect([...inks.values()].map(ink => ink.colour)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('differs from every other of the chart: eight colours first, then dashes', () => {
    for (const count of [8, 20, 32]) {
      const inks = [...look(Array.from({ length: count }, (_, i) => `line ${i}`)).values()];
      expect(new Set(inks.map(ink => `${ink.colour}/${ink.dash}`)).size).toBe(count);
      expect(inks.filter(ink => ink.dash === 0)).toHaveLength(8);
    }
  });

  test('does not change when a neighbour comes', () => {
    const before = look(['b', 'c']);
    const after = look(['a', 'b', 'c'], before);
    expect([after.get('b'), after.get('c')]).toEqual([before.get('b'), before.get('c')]);
  });

  test('exists for more lines than there are inks', () => {
    expect(look(Array.from({ length: 100 }, (_, i) => String(i))).size).toBe(100);
  });

  test('alone on its chart is blue', () => {
    expect(look(['']).get('')).toEqual({ colour: 5, dash: 0 });
  });
});

test('there is a dash pattern for every ink', () => {
  expect(DASHES[0]).toEqual([]);
  expect(new Set(DASHES.map(String)).size).toBe(DASHES.length);
});
