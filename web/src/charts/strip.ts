import uPlot from 'uplot';
import { DASHES, type Ink } from '../model/colour.ts';
import type { Drawing } from '../model/drawing.ts';
import { formatTick, type Unit } from '../model/format.ts';
import { valueRange } from '../model/scale.ts';
import { hatch } from './hatch.ts';
import type { Look } from './look.ts';
import { timeTicks } from './ticks.ts';

/** What a chart is made of, apart from its data. */
export interface StripOptions {
  readonly unit: Unit;
  readonly inks: readonly Ink[];
  readonly look: () => Look;
  /** Whether the readout is shared by all charts, and so the crosshair. */
  readonly group: string;
  /** Tells the time under the pointer in Unix ms, null when it left. */
  readonly hovered: (time: number | null) => void;
}

/** Room for the labels of the value axis, CSS pixels: the same on all charts, so that their times align. */
const GUTTER = 64;

/** One chart on the screen: paper, grid and pens. Knows uPlot, and nothing of rooms. */
export class Strip {
  readonly #plot: uPlot;
  #drawing: Drawing = { x: [], ys: [], holes: [] };
  #from = 0;
  #to = 1;

  constructor(root: HTMLElement, width: number, height: number, options: StripOptions) {
    const { unit, inks, look, hovered } = options;
    const alone = inks.length === 1;
    const axis = {
      stroke: () => look().muted,
      font: '12px system-ui, sans-serif',
      grid: { stroke: () => look().grid, width: 1 },
      ticks: { show: false },
    };
    this.#plot = new uPlot(
      {
        width,
        height,
        ms: 1,
        padding: [8, 12, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          sync: { key: options.group, scales: ['x', null] },
          points: { size: 7, width: 2 },
        },
        scales: {
          x: { time: true, range: () => [this.#from, this.#to] },
          y: { range: (_plot, low, high) => valueRange(low ?? Number.NaN, high ?? Number.NaN, unit) },
        },
        axes: [
          {
            ...axis,
            space: 84,
            size: 28,
            gap: 6,
            values: (_plot, splits, _axis, _space, step) => timeTicks(splits, step),
          },
          {
            ...axis,
            size: GUTTER,
            gap: 8,
            space: 32,
            values: (_plot, splits) => splits.map(value => formatTick(value, unit)),
          },
        ],
        series: [
          {},
          ...inks.map(
            (ink, i): uPlot.Series => ({
              stroke: () => look().palette[ink.colour]!,
              width: 1.5,
              dash: [...DASHES[ink.dash]!],
              points: {
                show: false,
                size: 4,
                fill: () => look().palette[ink.colour]!,
                filter: () => this.#isolated(i),
              },
              ...(alone ? { fill: () => look().wash[ink.colour]! } : {}),
            }),
          ),
        ],
        hooks: {
          drawClear: [plot => hatch(plot, this.#drawing.holes, look())],
          setCursor: [
            plot => hovered((plot.cursor.left ?? -1) < 0 ? null : plot.posToVal(plot.cursor.left!, 'x')),
          ],
        },
      },
      [[], ...inks.map(() => [])],
      root,
    );
  }

  /** Shows `drawing` on the window from `from` to `to`, both Unix ms. */
  show(drawing: Drawing, from: number, to: number): void {
    this.#drawing = drawing;
    this.#from = from;
    this.#to = to;
    this.#plot.setData([drawing.x, ...drawing.ys]);
  }

  /** Hides or shows line `i`. */
  setVisible(i: number, visible: boolean): void {
    this.#plot.setSeries(i + 1, { show: visible });
  }

  /** Draws again what is shown, in a look that changed. */
  repaint(): void {
    this.#plot.redraw(false);
  }

  resize(width: number, height: number): void {
    this.#plot.setSize({ width, height });
  }

  close(): void {
    this.#plot.destroy();
  }

  /** Samples without a neighbour, which a line alone would not show. null where there are none. */
  #isolated(i: number): number[] | null {
    const ys = this.#drawing.ys[i] ?? [];
    const out: number[] = [];
    for (let j = 0; j < ys.length; j++) {
      if (typeof ys[j] !== 'number') continue;
      if (neighbour(ys, j, -1) === null && neighbour(ys, j, 1) === null) out.push(j);
    }
    return out.length > 0 ? out : null;
  }
}

/** The next value of a line in one direction, over times that are not its own; null for a break or the end. */
function neighbour(ys: readonly (number | null | undefined)[], j: number, direction: 1 | -1): number | null {
  let k = j + direction;
  while (k >= 0 && k < ys.length && ys[k] === undefined) k += direction;
  return ys[k] ?? null;
}
