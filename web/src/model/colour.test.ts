import { describe, expect, test } from 'vitest';
import css from '../ui/theme.css?raw';
import { assignInks, DASHES, hostInks, PALETTE } from './colour.ts';

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

/** What linear red, green and blue become (Machado, Oliveira and Fernandes, 2009, severity 1). */
const BLINDNESS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  'full sight': [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** How different two colours look, as their distance in CIELAB; 2 is just seen. */
function difference(a: string, b: string, sight: readonly (readonly number[])[]): number {
  const [x, y] = [a, b].map(hex => lab(hex, sight)) as [number[], number[]];
  return Math.hypot(...x.map((value, i) => value - y[i]!));
}

function lab(hex: string, sight: readonly (readonly number[])[]): number[] {
  const rgb = [1, 3, 5].map(i => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const mix = (row: readonly number[], of: readonly number[]) =>
    row.reduce((sum, factor, i) => sum + factor * of[i]!, 0);
  const seen = sight.map(row => Math.min(1, Math.max(0, mix(row, rgb))));
  const [x, y, z] = [
    [0.4339, 0.3762, 0.1899],
    [0.2126, 0.7152, 0.0722],
    [0.0177, 0.1095, 0.873],
  ].map(row => {
    const t = mix(row, seen);
    return t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116;
  }) as [number, number, number];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
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

  test('follows the order of the keys, the first four solid', () => {
    const inks = look(['10', '9', '2', '1', '0']);
    expect(['0', '1', '2', '9', '10'].map(key => inks.get(key))).toEqual([
      { colour: 5, dash: 0 },
      { colour: 1, dash: 0 },
      { colour: 0, dash: 0 },
      { colour: 7, dash: 0 },
      { colour: 2, dash: 1 },
    ]);
  });

  test('differs from every other of the chart', () => {
    for (const count of [8, 20, 32]) {
      const inks = [...look(Array.from({ length: count }, (_, i) => `line ${i}`)).values()];
      expect(new Set(inks.map(ink => `${ink.colour}/${ink.dash}`)).size).toBe(count);
    }
  });

  test.each(Object.keys(BLINDNESS))('of the first eight lines is told apart with %s', kind => {
    const inks = [...look(Array.from({ length: 8 }, (_, i) => String(i))).values()];
    for (const palette of [PALETTE.light, PALETTE.dark]) {
      for (const [i, a] of inks.entries()) {
        for (const b of inks.slice(i + 1).filter(b => b.dash === a.dash)) {
          const apart = difference(palette[a.colour]!, palette[b.colour]!, BLINDNESS[kind]!);
          expect(apart, `${palette[a.colour]} ${palette[b.colour]}`).toBeGreaterThan(10);
        }
      }
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

test('a host has one colour on all charts, and its lines there have a dash each', () => {
  const hosts = ['web1', 'db', 'web2'];
  const cpu = hostInks([{ host: 'web2' }, { host: 'web1' }], hosts)!;
  const disk = hostInks(
    [
      { host: 'web1', __name__: 'read' },
      { host: 'web1', __name__: 'write' },
      { host: 'web2', __name__: 'read' },
    ],
    hosts,
  )!;
  expect(cpu[1]!.colour).toBe(disk[0]!.colour);
  expect(disk[1]!.colour).toBe(disk[0]!.colour);
  expect(disk[1]!.dash).not.toBe(disk[0]!.dash);
  expect(cpu[0]!.colour).toBe(disk[2]!.colour);
  expect(hostInks([{ host: 'web1' }, { host: 'web1' }], hosts), 'one host').toBeNull();
  expect(hostInks([{ host: 'web1' }, { room: 'lab' }], hosts), 'a line of no host').toBeNull();
});
