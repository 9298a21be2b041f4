import uPlot from 'uplot';
import { DASHES, type Ink } from '../model/colour.ts';
import type { Drawing } from '../model/drawing.ts';
import { formatTicks, type Unit } from '../model/format.ts';
import { gapText } from '../model/gap.ts';
import type { DeclaredGap } from '../model/line.ts';
import { place, valueRange, valueTicks } from '../model/scale.ts';
import { type Gestures, listenToGestures } from './gestures.ts';
import { hatch, type Stretch, wash } from './hatch.ts';
import type { Look } from './look.ts';
import { isolated, nearestOwn } from './points.ts';
import { timeTicks } from './ticks.ts';

/** What a chart is made of, apart from its data. */
export interface StripOptions {
  readonly unit: Unit;
  readonly inks: readonly Ink[];
  readonly look: () => Look;
  /** Charts of one group move their crosshairs together. */
  readonly group: string;
  /** Tells the time under the pointer on this chart in Unix ms, null when it left. */
  readonly hovered: (time: number | null) => void;
  /** A stretch is being selected on this chart; null when it is done or given up. */
  readonly selecting: (stretch: Stretch | null) => void;
  readonly selected: (stretch: Stretch) => void;
  /** The paper is taken hold of: tells what it shows then, and is told that with every `pulled`, ms to the right. */
  readonly grabbed: () => Stretch;
  readonly pulled: (start: Stretch, ms: number) => void;
  readonly released: () => void;
  /** Back to what the page shows by itself. */
  readonly reset: () => void;
}

/** Size of the axes' text, and room for the value axis: the same on all charts, so that their times align. In rem. */
const TEXT = 0.86;
const GUTTER = 4.7;

/**
 * Widths of lines, CSS pixels. Many points are drawn in thin lines: they are easier to read, and without a graphics
 * processor a line of one device pixel is drawn several times faster than a wider one (1.1 % against 7.6 % of the main
 * thread for 12 charts of 4 lines with 600 points, once a second).
 */
const WIDE = 1.5;
const THIN = 1;

/** Points on all lines of a chart from which on they are thin. */
const MANY_POINTS = 1_500;

/** Paper to the right of the newest sample, CSS pixels. */
const MARGIN = 14;

/** Narrowest stretches that are hatched, CSS pixels. A gap may not vanish in a long window; a hole may. */
const LEAST_HOLE = 1;
const LEAST_GAP = 3;

/** Least distance of two ticks of the value axis, rem. */
const TICK_SPACE = 2.4;

/** Width of a digit, as a part of the text's size. */
const DIGIT = 0.6;

/** One chart on the screen: paper, grid and pens. The only part of the page that knows uPlot. */
export class Strip {
  readonly #plot: uPlot;
  readonly #options: StripOptions;
  readonly #listening = new AbortController();
  #pointed = false;
  #drawing: Drawing = { x: [], ys: [], holes: [] };
  readonly #shown: boolean[];
  #bottom = 0;
  #top = 1;
  #gaps: readonly DeclaredGap[] = [];
  /** What has not arrived of the window. */
  #unknown: readonly Stretch[] = [];
  #from = 0;
  #to = 1;

  /** Draws into `root`, `width` by `height` CSS pixels; both axes are inside. */
  constructor(root: HTMLElement, width: number, height: number, options: StripOptions) {
    this.#options = options;
    const { inks, look } = options;
    this.#shown = inks.map(() => true);
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#plot = new uPlot(
      {
        width,
        height,
        ms: 1,
        // The topmost tick's label stands half above the paper.
        padding: [Math.round(0.6 * rem), MARGIN, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          // Buttons are ours (gestures.ts): uPlot would hide what is being selected.
          bind: { mousedown: () => null, mouseup: () => null, click: () => null, dblclick: () => null },
          sync: { key: options.group, scales: ['x', null] },
          points: { size: 7, width: 2 },
          // Without a sample near the pointer there is nothing to mark: uPlot takes null for that, if not its types.
          dataIdx: (_plot, series, near) =>
            series === 0 ? near : (nearestOwn(this.#drawing.ys[series - 1]!, near) as number),
        },
        scales: {
          x: { time: true, range: () => [this.#from, this.#to] },
          // The paper's height: the values are placed on it before, see #place.
          y: { range: () => [0, 1] },
        },
        axes: this.#axes(rem),
        series: [{}, ...inks.map((_, i) => this.#series(i))],
        hooks: {
          drawClear: [
            plot => {
              wash(plot, this.#unknown, look().unknown);
              hatch(plot, this.#drawing.holes, look().hole, LEAST_HOLE);
              hatch(plot, this.#gaps, look().gap, LEAST_GAP, true);
            },
          ],
          setCursor: [() => this.#point()],
        },
      },
      [[], ...inks.map(() => [])],
      root,
    );
    // All charts of the group get the crosshair, but only the one under the pointer tells the time.
    const { signal } = this.#listening;
    root.addEventListener('pointerenter', () => this.#setPointed(true), { signal });
    root.addEventListener('pointerleave', () => this.#setPointed(false), { signal });
    listenToGestures(this.#plot.over, this.#gestures(), signal);
  }

  #gestures(): Gestures {
    const { selecting, selected, grabbed, pulled, released, reset } = this.#options;
    const stretch = (a: number, b: number): Stretch => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)].map(x => this.#plot.posToVal(x, 'x')) as [
        number,
        number,
      ];
      return { from: Math.max(from, this.#from), to: Math.min(to, this.#to) };
    };
    let start: Stretch = { from: 0, to: 0 };
    return {
      selecting: (a, b) => selecting(stretch(a, b)),
      selected: (a, b, done) => {
        selecting(null);
        if (done) selected(stretch(a, b));
      },
      grabbed: () => {
        start = grabbed();
      },
      pulled: by => pulled(start, (by / this.#plot.over.clientWidth) * (start.to - start.from)),
      released,
      tapped: () => {},
      reset,
    };
  }

  /** Marks a stretch that is being selected, on this chart or on another; null for none. */
  select(stretch: Stretch | null): void {
    const { over } = this.#plot;
    const left = stretch ? Math.max(0, this.#plot.valToPos(stretch.from, 'x')) : 0;
    const right = stretch ? Math.min(over.clientWidth, this.#plot.valToPos(stretch.to, 'x')) : 0;
    this.#plot.setSelect(
      { left, top: 0, width: right - left, height: stretch ? over.clientHeight : 0 },
      false,
    );
  }

  /**
   * Shows `drawing` and the gaps of its lines on the window from `from` to `to`, both Unix ms. Of what lies outside of
   * `known` nobody knows yet.
   */
  show(
    drawing: Drawing,
    gaps: readonly DeclaredGap[],
    from: number,
    to: number,
    known: Stretch = { from, to },
  ): void {
    this.#drawing = drawing;
    this.#unknown = [
      { from, to: Math.min(known.from, to) },
      { from: Math.max(known.to, from), to },
    ].filter(stretch => stretch.to > stretch.from);
    this.#gaps = gaps;
    this.#from = from;
    this.#to = to;
    const thin = drawing.x.length * drawing.ys.length > MANY_POINTS;
    for (const series of this.#plot.series) series.width = thin ? THIN : WIDE;
    this.#place();
  }

  /** Hides or shows line `i`. */
  setVisible(i: number, visible: boolean): void {
    this.#shown[i] = visible;
    this.#plot.setSeries(i + 1, { show: visible });
    this.#place();
  }

  /** Draws again what is shown, in a look that changed. */
  repaint(): void {
    this.#plot.redraw(false);
  }

  resize(width: number, height: number): void {
    this.#plot.setSize({ width, height });
  }

  close(): void {
    this.#listening.abort();
    this.#setPointed(false);
    this.#plot.destroy();
  }

  /**
   * Hands the lines over as places on the paper, from 0 to 1, instead of values. Everything that goes by values, range and
   * ticks, is then ours (model/scale.ts): uPlot adds up steps, and does not come to an end where a step is lost in the
   * value's last digit.
   */
  #place(): void {
    const { x, ys } = this.#drawing;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    ys.forEach((values, i) => {
      if (!this.#shown[i]) return;
      for (const value of values) {
        if (typeof value !== 'number') continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    });
    const [bottom, top] = valueRange(low, high, this.#options.unit);
    this.#bottom = bottom;
    this.#top = top;
    const places = ys.map(values =>
      values.map(value => (typeof value === 'number' ? place(value, bottom, top) : value)),
    );
    this.#plot.setData([x, ...places]);
  }

  #series(i: number): uPlot.Series {
    const { inks, look } = this.#options;
    const { colour, dash } = inks[i]!;
    return {
      stroke: () => look().palette[colour]!,
      width: WIDE,
      dash: [...DASHES[dash]!],
      // A line alone may fill the paper below it; several would hide each other.
      ...(inks.length === 1 ? { fill: () => look().wash[colour]! } : {}),
      points: {
        show: false,
        size: 4,
        fill: () => look().palette[colour]!,
        filter: () => isolated(this.#drawing.ys[i] ?? []),
      },
    };
  }

  #setPointed(pointed: boolean): void {
    if (this.#pointed && !pointed) this.#options.hovered(null);
    this.#pointed = pointed;
  }

  #point(): void {
    if (!this.#pointed) return;
    const { cursor, over } = this.#plot;
    const on = cursor.left !== undefined && cursor.left >= 0;
    this.#options.hovered(on ? this.#plot.posToVal(cursor.left!, 'x') : null);
    const told = on
      ? this.#gaps
          .filter(gap => this.#covers(gap, cursor.left!))
          .map(gapText)
          .join('\n')
      : '';
    if (over.title !== told) over.title = told;
  }

  /** Whether a gap is drawn `left` CSS pixels from the left edge of the paper. */
  #covers(gap: DeclaredGap, left: number): boolean {
    const from = this.#plot.valToPos(gap.from, 'x');
    const to = this.#plot.valToPos(gap.to, 'x');
    return Math.abs(left - (from + to) / 2) <= Math.max(to - from, LEAST_GAP) / 2;
  }

  /** The time axis and the value axis; `rem` is the page's size of text in CSS pixels. */
  #axes(rem: number): uPlot.Axis[] {
    const { unit, look } = this.#options;
    const common: uPlot.Axis = {
      stroke: () => look().muted,
      // Whole pixels: uPlot scales the number before `px` for the screen, and takes it for a whole one.
      font: `${Math.round(TEXT * rem)}px system-ui, sans-serif`,
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
        gap: 6,
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
        gap: 8,
        // One step over the whole paper is always allowed; the ticks on it are ours.
        incrs: [1],
        space: 0,
        splits: plot => {
          const height = plot.bbox.height / devicePixelRatio;
          ticks = valueTicks(this.#bottom, this.#top, unit, 1 + Math.floor(height / (TICK_SPACE * rem)));
          return ticks.map(tick => place(tick, this.#bottom, this.#top));
        },
        values: () => formatTicks(ticks, unit),
      },
    ];
  }
}
