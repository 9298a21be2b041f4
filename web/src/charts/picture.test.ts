import { expect, test } from 'vitest';
import { axisOf } from '../model/axis.ts';
import { NO_LIMITS } from '../model/limits.ts';
import { LOOKS } from './look.ts';
import { type Picture, svgOf } from './picture.ts';

const FROM = 1_700_000_000_000;
const PICTURE: Picture = {
  title: 'Disk <sda> & "b"',
  times: '10:00:00 – 10:01:40',
  width: 900,
  height: 400,
  look: LOOKS.light,
  drawing: {
    x: [0, 10, 20, 30, 40].map(s => FROM + 1_000 * s),
    ys: [
      [1, 2, null, 3, 4],
      [5, undefined, 6, 7, undefined],
    ],
    holes: [{ from: FROM + 10_000, to: FROM + 30_000 }],
    odd: [],
  },
  gaps: [],
  from: FROM,
  to: FROM + 100_000,
  axis: axisOf('lines', { low: 0, high: 9, least: 1, states: false, whole: Number.NaN }, 'number', NO_LIMITS),
  limits: { ...NO_LIMITS, warn: { value: 8, below: false } },
  lines: [
    { name: 'read', ink: { colour: 5, dash: 0 }, stepped: false, stacked: false, shown: true },
    { name: 'write', ink: { colour: 1, dash: 1 }, stepped: false, stacked: false, shown: true },
  ],
};

test('a picture is told by its title, its times, both axes and its legend', () => {
  const svg = svgOf(PICTURE);
  expect(svg).toContain('Disk &#60;sda&#62; &#38; &#34;b&#34;');
  for (const text of ['10:00:00 – 10:01:40', '>0<', '>10<', '>read<', '>write<']) expect(svg).toContain(text);
  expect(svg.match(/text-anchor="middle"/g)!.length).toBeGreaterThanOrEqual(3);
  expect(svg).toContain('stroke-dasharray="6 4"');
});

test('a line is broken where it is on the page, and goes on over times that are not its own', () => {
  const paths = [...svgOf(PICTURE).matchAll(/d="([^"]+)" fill="none" stroke="[^"]+" stroke-width="1.5"/g)];
  const [read = '', write = ''] = paths.map(([, path]) => path!);
  expect([read.match(/M/g)!.length, read.match(/L/g)!.length]).toEqual([2, 2]);
  expect([write.match(/M/g)!.length, write.match(/L/g)!.length]).toEqual([1, 2]);
});

test('hidden lines are left out, and a line alone needs no legend', () => {
  const lines = PICTURE.lines.map((line, i) => ({ ...line, shown: i === 0 }));
  expect(svgOf({ ...PICTURE, lines })).not.toContain('write');
  expect(svgOf({ ...PICTURE, lines: lines.slice(0, 1) })).not.toContain('>read<');
});
