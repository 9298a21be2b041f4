import type { Axis } from '../model/axis.ts';
import { DASHES, type Ink } from '../model/colour.ts';
import type { Drawing } from '../model/drawing.ts';
import { GRAVE, type Limits } from '../model/limits.ts';
import type { Stretch } from './hatch.ts';
import type { Look } from './look.ts';
import { timeTicks } from './ticks.ts';

/** A chart as it leaves the page. */
export interface Picture {
  readonly title: string;
  /** Which time it shows. */
  readonly times: string;
  readonly width: number;
  readonly height: number;
  readonly look: Look;
  readonly drawing: Drawing;
  readonly gaps: readonly Stretch[];
  readonly from: number;
  readonly to: number;
  readonly axis: Axis;
  readonly limits: Limits;
  readonly lines: readonly {
    readonly name: string;
    readonly ink: Ink;
    readonly stepped: boolean;
    /** Whether the paper below it is filled. */
    readonly stacked: boolean;
    readonly shown: boolean;
  }[];
}

/** The paper's edges, and the rows of a legend; all in pixels of the picture. */
const EDGE = { left: 84, right: 20, top: 56, bottom: 34 } as const;
const LEGEND_ROW = 22;
const LEGEND_COLUMN = 180;

/** Distances of ticks of the time axis, ms. */
const TIME_STEPS: readonly number[] = [
  1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10_800e3,
  21_600e3, 43_200e3, 86_400e3, 172_800e3, 604_800e3,
];

/** Least distance of two labels of an axis. */
const APART = { x: 110, y: 40 } as const;

/** Writes a chart as SVG, with its title, its times, both axes and a legend: all that a reader elsewhere needs. */
export function svgOf(picture: Picture): string {
  const { title, times, width, height, look, drawing, from, to, axis, limits } = picture;
  const named = picture.lines.length > 1 ? picture.lines.filter(({ shown }) => shown) : [];
  const columns = Math.max(1, Math.floor((width - EDGE.left) / LEGEND_COLUMN));
  const paper = {
    left: EDGE.left,
    right: width - EDGE.right,
    top: EDGE.top,
    bottom: height - EDGE.bottom - LEGEND_ROW * Math.ceil(named.length / columns),
  };
  const x = (time: number): number => paper.left + ((time - from) / (to - from)) * (paper.right - paper.left);
  const y = (value: number): number => paper.bottom - axis.place(value) * (paper.bottom - paper.top);
  const out: string[] = [];
  const text = (at: readonly [number, number], words: string, more = ''): void => {
    out.push(`<text x="${n(at[0])}" y="${n(at[1])}" ${more}>${escaped(words)}</text>`);
  };
  const band = (stretch: Stretch, fill: string): void => {
    const [left, right] = [Math.max(x(stretch.from), paper.left), Math.min(x(stretch.to), paper.right)];
    if (right > left)
      out.push(
        `<rect x="${n(left)}" y="${paper.top}" width="${n(right - left)}" height="${n(paper.bottom - paper.top)}" fill="${fill}"/>`,
      );
  };
  const rule = (path: string, stroke: string, more = ''): void => {
    out.push(`<path d="${path}" fill="none" stroke="${stroke}" ${more}/>`);
  };

  for (const hole of drawing.holes) band(hole, look.hole.lines);
  for (const gap of picture.gaps) band(gap, look.gap.lines);
  const room = Math.floor((paper.bottom - paper.top) / APART.y) + 1;
  const values = axis.ticks(room);
  axis.labels(values).forEach((label, i) => {
    const at = y(values[i]!);
    rule(`M${paper.left} ${n(at)}H${paper.right}`, look.grid);
    text([paper.left - 8, at + 4], label, `text-anchor="end" fill="${look.muted}"`);
  });
  const { ticks, step } = timesOn(from, to, Math.max(1, Math.floor((paper.right - paper.left) / APART.x)));
  timeTicks(ticks, step).forEach((label, i) => {
    rule(`M${n(x(ticks[i]!))} ${paper.top}V${n(paper.bottom)}`, look.grid);
    text([x(ticks[i]!), paper.bottom + 20], label, `text-anchor="middle" fill="${look.muted}"`);
  });
  for (const level of GRAVE) {
    const limit = limits[level];
    if (limit && limit.value >= axis.bottom && limit.value <= axis.top)
      rule(`M${paper.left} ${n(y(limit.value))}H${paper.right}`, look[level], 'stroke-dasharray="6 4"');
  }
  out.push(
    `<clipPath id="paper"><rect x="${paper.left}" y="${paper.top - 4}" width="${paper.right - paper.left}" height="${n(paper.bottom - paper.top + 8)}"/></clipPath>`,
    '<g clip-path="url(#paper)">',
  );
  // The highest area first: what is below covers it.
  for (let i = picture.lines.length - 1; i >= 0; i--) {
    const { ink, stacked, shown } = picture.lines[i]!;
    if (!stacked || !shown) continue;
    const area = areaOf(drawing, i, x, y, paper.bottom);
    out.push(`<path d="${area}" fill="${look.paper}"/><path d="${area}" fill="${look.area[ink.colour]}"/>`);
  }
  picture.lines.forEach(({ ink, stepped, shown }, i) => {
    if (shown)
      rule(pathOf(drawing, i, stepped, x, y), look.palette[ink.colour]!, `stroke-width="1.5" ${dash(ink)}`);
  });
  out.push('</g>');
  named.forEach(({ name, ink }, i) => {
    const left = paper.left + LEGEND_COLUMN * (i % columns);
    const base = paper.bottom + EDGE.bottom + 12 + LEGEND_ROW * Math.floor(i / columns);
    rule(`M${left} ${n(base - 4)}h22`, look.palette[ink.colour]!, `stroke-width="2" ${dash(ink)}`);
    text([left + 28, base], name, `fill="${look.palette[0]}"`);
  });
  text([20, 28], title, `font-size="16" font-weight="600" fill="${look.palette[0]}"`);
  text([20, 46], times, `fill="${look.muted}"`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="system-ui, sans-serif" font-size="12"><rect width="${width}" height="${height}" fill="${look.paper}"/>`,
    ...out,
    '</svg>',
  ].join('');
}

/** The ticks of a time axis, on round times of the browser's zone, `most` at most. */
function timesOn(from: number, to: number, most: number): { ticks: number[]; step: number } {
  const step = TIME_STEPS.find(wide => (to - from) / wide <= most) ?? TIME_STEPS.at(-1)!;
  const zone = 60_000 * new Date(from).getTimezoneOffset();
  const ticks: number[] = [];
  for (let tick = Math.ceil((from - zone) / step) * step + zone; tick <= to; tick += step) ticks.push(tick);
  return { ticks, step };
}

function pathOf(
  { x: times, ys }: Drawing,
  line: number,
  stepped: boolean,
  x: (time: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let broken = true;
  ys[line]?.forEach((value, i) => {
    if (value === null) broken = true;
    if (typeof value !== 'number') return;
    const at = `${n(x(times[i]!))}`;
    path += broken ? `M${at} ${n(y(value))}` : stepped ? `H${at}V${n(y(value))}` : `L${at} ${n(y(value))}`;
    broken = false;
  });
  return path;
}

/** The paper below a line. */
function areaOf(
  { x: times, ys }: Drawing,
  line: number,
  x: (time: number) => number,
  y: (value: number) => number,
  bottom: number,
): string {
  let path = '';
  let last: string | null = null;
  ys[line]?.forEach((value, i) => {
    if (value === undefined) return;
    if (value === null) {
      if (last !== null) path += `L${last} ${n(bottom)}Z`;
      last = null;
      return;
    }
    const at = n(x(times[i]!));
    path += `${last === null ? `M${at} ${n(bottom)}` : ''}L${at} ${n(y(value))}`;
    last = at;
  });
  return last === null ? path : `${path}L${last} ${n(bottom)}Z`;
}

function dash(ink: Ink): string {
  return `stroke-dasharray="${DASHES[ink.dash]!.join(' ') || 'none'}"`;
}

/** A length, to a tenth of a pixel. */
function n(length: number): string {
  return `${Math.round(10 * length) / 10}`;
}

function escaped(text: string): string {
  return text.replace(/[<>&"]/g, c => `&#${c.charCodeAt(0)};`);
}
