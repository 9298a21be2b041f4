import type uPlot from 'uplot';
import type { Axis } from '../model/axis.ts';
import type { Look } from './look.ts';
import { timeTicks } from './ticks.ts';

/** Size of the axes' text, and room for the value axis: the same on all charts, so that their times align. In rem. */
const TEXT = 0.86;
const GUTTER = 5.2;

/** Paper to the right of the newest sample, CSS pixels. */
export const MARGIN = 14;

/** Paper above the highest value and below the lowest, CSS pixels: a line on the very edge would be cut in half. */
const INSET = 4;

/** The part of the paper's height that is above its values, and below. */
export function insetOf(height: number): number {
  return INSET / Math.max(8 * INSET, height - 2 * INSET);
}

/** Least distance of two ticks of the value axis, rem. */
const TICK_SPACE = 2.4;

/** Width of a digit, as a part of the text's size. */
const DIGIT = 0.6;

/** The font of the axes, `scale` device pixels to one of CSS. Whole pixels: uPlot takes the number before `px` for a whole one. */
export function fontOf(rem: number, scale = 1): string {
  return `${Math.round(TEXT * rem * scale)}px system-ui, sans-serif`;
}

/** The time axis and the value axis; `rem` is the page's size of text in CSS pixels. */
export function axesOf(rem: number, look: () => Look, axis: () => Axis): uPlot.Axis[] {
  const common: uPlot.Axis = {
    stroke: () => look().muted,
    font: fontOf(rem),
    grid: { stroke: () => look().grid, width: 1 },
    ticks: { show: false },
  };
  let ticks: readonly number[] = [];
  return [
    {
      ...common,
      // A narrow chart would have a single time otherwise.
      space: (_plot, _axis, _min, _max, width) => (width < 30 * rem ? 4 : 6) * rem,
      size: 2 * rem,
      gap: 0.43 * rem,
      values: (plot, times, _axis, _space, step) =>
        timeTicks(times, step).map((label, i) => {
          const room = plot.bbox.width / devicePixelRatio + MARGIN - plot.valToPos(times[i]!, 'x');
          // A label that would reach over the edge of the paper would be cut.
          return (label.length * DIGIT * TEXT * rem) / 2 > room ? '' : label;
        }),
    },
    {
      ...common,
      size: GUTTER * rem,
      gap: 0.57 * rem,
      // One step over the whole paper is always allowed; the ticks on it are ours.
      incrs: [1],
      space: 0,
      splits: plot => {
        const height = plot.bbox.height / devicePixelRatio;
        ticks = axis().ticks(1 + Math.floor(height / (TICK_SPACE * rem)));
        return ticks.map(tick => axis().place(tick));
      },
      values: () => axis().labels(ticks),
    },
  ];
}
