import uPlot from 'uplot';
import { type Axis, axisOf, type Span } from '../model/axis.ts';
import { DASHES, type Ink } from '../model/colour.ts';
import type { Drawing } from '../model/drawing.ts';
import { type Form, layOut, type Role } from '../model/form.ts';
import type { Unit } from '../model/format.ts';
import { gapText } from '../model/gap.ts';
import type { Limits } from '../model/limits.ts';
import type { DeclaredGap } from '../model/line.ts';
import { axesOf, fontOf, insetOf, MARGIN } from './axes.ts';
import { type Gestures, listenToGestures } from './gestures.ts';
import { hatch, type Stretch, tellBeginning, wash } from './hatch.ts';
import { drawLimits } from './limits.ts';
import type { Look } from './look.ts';
import type { Picture } from './picture.ts';
import { isInside, isolated, isState, nearestOwn, nearestTime, stepFrom } from './points.ts';

/** What a chart is made of, apart from its data. */
export interface StripOptions {
  readonly unit: Unit;
  readonly limits: Limits;
  readonly inks: readonly Ink[];
  readonly form: Form;
  /** What each line is to the form. */
  readonly roles: readonly Role[];
  readonly look: () => Look;
  /** Charts of one group move their crosshairs together. */
  readonly group: string;
  /** Tells the time under the pointer on this chart in Unix ms, null when it left. */
  readonly hovered: (time: number | null) => void;
  /** The time that was told last: the crosshair stays at it while the paper moves under a pointer that rests. */
  readonly hover: () => number | null;
  /** The line under the pointer, -1 for none. */
  readonly focused: (i: number) => void;
  /** The paper was clicked at a time, that of a sample if there is one; `reach` ms around it count as the same place. */
  readonly tapped: (time: number, reach: number) => void;
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

/** What a chart shows. */
export interface Shown {
  readonly drawing: Drawing;
  /** The gaps of its lines. */
  readonly gaps: readonly DeclaredGap[];
  /** The window, both Unix ms. */
  readonly from: number;
  readonly to: number;
  /** Of what lies outside nobody knows yet. */
  readonly known: Stretch;
  /** A sample is told for a time that is this many ms away at most. */
  readonly reach: number;
  /** When its recording began, Unix ms; null where that is not in the window. */
  readonly began: number | null;
}

/**
 * Widths of lines, CSS pixels. Many points are drawn in thin lines: they are easier to read, and without a graphics
 * processor a line of one device pixel is drawn several times faster than a wider one (1.1 % against 7.6 % of the main
 * thread for 12 charts of 4 lines with 600 points, once a second).
 */
const WIDE = 1.5;
const THIN = 1;

/** The page's size of text on a desk, CSS pixels: on a wall lines are wider as text is larger. */
const DESK_REM = 14;

/** Points on all lines of a chart from which on they are thin. */
const MANY_POINTS = 1_500;

/** Narrowest stretches that are hatched, CSS pixels. A gap may not vanish in a long window; a hole may. */
const LEAST_HOLE = 1;
const LEAST_GAP = 3;

/** A line within this many CSS pixels of the pointer is raised, and the others are as faint as this. */
const NEAR_LINE = 14;
const UNFOCUSED = 0.3;

/** What a picture of a chart is higher than the chart, for its title, CSS pixels. */
const HEAD = 120;

/** Clicks this near to each other are of the same place, CSS pixels. */
const SAME_PLACE = 12;

/** What an axis shows while there is nothing. */
const NOTHING: Span = {
  low: Number.NaN,
  high: Number.NaN,
  least: Number.NaN,
  states: false,
  whole: Number.NaN,
};

const LINES = uPlot.paths.linear!();
const STEPS = uPlot.paths.stepped!({ align: 1 });

/** One chart on the screen: paper, grid and pens. The only part of the page that knows uPlot. */
export class Strip {
  readonly #plot: uPlot;
  readonly #options: StripOptions;
  readonly #listening = new AbortController();
  /** How many times as large as on a desk everything is. */
  readonly #scale: number;
  #pointed = false;
  #drawing: Drawing = { x: [], ys: [], holes: [], odd: [] };
  /** Whether each line has states only, 0 and 1: it is drawn in steps. */
  #stepped: boolean[] = [];
  /** The values as the form lays them out. */
  #laid: Drawing['ys'] = [];
  readonly #shown: boolean[];
  #axis: Axis;
  #gaps: readonly DeclaredGap[] = [];
  #pin: number | null = null;
  /** Whether the pointer moved since its time was told. */
  #moved = false;
  /** How far from a time a sample may be that is told for it, ms. */
  #reach = 0;
  /** What has not arrived of the window. */
  #unknown: readonly Stretch[] = [];
  #began: number | null = null;
  #from = 0;
  #to = 1;

  /** Draws into `root`, `width` by `height` CSS pixels; both axes are inside. */
  constructor(root: HTMLElement, width: number, height: number, options: StripOptions) {
    this.#options = options;
    const { inks, look, form, unit, limits } = options;
    this.#axis = axisOf(form, NOTHING, unit, limits);
    this.#shown = inks.map(() => true);
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#scale = Math.max(1, rem / DESK_REM);
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
          focus: { prox: NEAR_LINE },
          move: (_plot, left, top) => [this.#snap(left), top],
          // Without a sample near the pointer there is nothing to mark: uPlot takes null for that, if not its types.
          dataIdx: (plot, series, near) =>
            series === 0
              ? near
              : (this.#sampleNear(series - 1, near, plot.posToVal(plot.cursor.left ?? 0, 'x')) as number),
        },
        focus: { alpha: UNFOCUSED },
        scales: {
          x: { time: true, range: () => [this.#from, this.#to] },
          // The paper's height: the values are placed on it before, see #place.
          y: {
            range: plot => {
              const inset = insetOf(plot.bbox.height / devicePixelRatio);
              return [-inset, 1 + inset];
            },
          },
        },
        axes: axesOf(rem, look, () => this.#axis),
        series: [{}, ...inks.map((_, i) => this.#series(i))],
        hooks: {
          drawClear: [
            plot => {
              wash(plot, this.#unknown, look().unknown);
              hatch(plot, this.#drawing.holes, look().hole, LEAST_HOLE);
              hatch(plot, this.#gaps, look().gap, LEAST_GAP, true);
              drawLimits(plot, limits, value => this.#axis.place(value), look());
            },
          ],
          draw: [
            plot => {
              if (this.#began !== null)
                tellBeginning(plot, this.#began, look(), fontOf(rem, devicePixelRatio));
              this.#drawOdd(plot);
              this.#drawPin(plot);
            },
          ],
          setCursor: [() => this.#point()],
          setSeries: [
            (_plot, series, options) => {
              // uPlot tells of both by one event, if not by its types.
              const { focus } = options as { focus?: boolean };
              if (focus !== undefined)
                this.#options.focused(this.#pointed && series !== null ? series - 1 : -1);
            },
          ],
        },
      },
      [[], ...inks.map(() => [])],
      root,
    );
    this.#fill();
    // All charts of the group get the crosshair, but only the one under the pointer tells the time.
    const { signal } = this.#listening;
    const enter = (event: PointerEvent): void => this.#setPointed(event.pointerType !== 'touch');
    root.addEventListener('pointerenter', enter, { signal });
    const move = (): void => {
      this.#moved = true;
    };
    root.addEventListener('pointermove', move, { signal, capture: true });
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
      tapped: at => {
        // What a pointer has been told is what it takes hold of, though the paper may have moved since.
        const told = this.#pointed ? this.#options.hover() : null;
        const time = told ?? this.#timeAt(at);
        this.#options.tapped(time, (SAME_PLACE / this.#plot.over.clientWidth) * (this.#to - this.#from));
      },
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

  show({ drawing, gaps, from, to, known, reach, began }: Shown): void {
    this.#drawing = drawing;
    this.#reach = reach;
    this.#unknown = [
      { from, to: Math.min(Math.max(known.from, began ?? 0), to) },
      { from: Math.max(known.to, from), to },
    ].filter(stretch => stretch.to > stretch.from);
    this.#gaps = gaps;
    this.#began = began;
    this.#from = from;
    this.#to = to;
    const thin = drawing.x.length * drawing.ys.length > MANY_POINTS;
    for (const series of this.#plot.series) series.width = (thin ? THIN : WIDE) * this.#scale;
    this.#place();
    this.#follow();
  }

  /** Moves the crosshair to a time, or away. */
  point(time: number | null): void {
    this.#plot.setCursor(time === null ? { left: -10, top: -10 } : { left: this.#leftOf(time), top: 0 });
  }

  /** The time at which the crosshair stands, Unix ms; null where it is not on the paper. */
  get crosshair(): number | null {
    const { left = -1 } = this.#plot.cursor;
    return left < 0 ? null : Math.round(this.#plot.posToVal(left, 'x'));
  }

  /**
   * The place of a time on the paper as it will be drawn next, CSS pixels. uPlot moves its scale later than `show` is
   * called: by the scale that it has until then the crosshair would come to stand on a newer sample.
   */
  #leftOf(time: number): number {
    return ((time - this.#from) / (this.#to - this.#from)) * this.#plot.over.clientWidth;
  }

  /** The time of the sample `by` samples after `time` on what is shown, the last one where `time` is null; null for none. */
  step(time: number | null, by: number): number | null {
    const { x, ys } = this.#drawing;
    const times = x.filter(
      (t, i) =>
        t >= this.#from &&
        t <= this.#to &&
        ys.some((ys, line) => this.#shown[line] && typeof ys[i] === 'number'),
    );
    return stepFrom(times, time, by);
  }

  /** Moves the crosshair with the paper, and away with what leaves it. */
  #follow(): void {
    const time = this.#options.hover();
    const { cursor } = this.#plot;
    if (time === null || (cursor.left ?? -1) < 0) return;
    if (time < this.#from) {
      this.#plot.setCursor({ left: -10, top: -10 });
      this.#options.hovered(null);
    } else {
      this.#plot.setCursor({ left: this.#leftOf(time), top: cursor.top ?? 0 });
    }
  }

  /** What is shown, as a picture of the same size with `title`, `times` and the `names` of its lines. */
  picture(title: string, times: string, names: readonly string[]): Picture {
    const { limits, inks, look, roles } = this.#options;
    return {
      title,
      times,
      width: this.#plot.width,
      height: this.#plot.height + HEAD,
      look: look(),
      drawing: { ...this.#drawing, ys: this.#laid },
      gaps: this.#gaps,
      from: this.#from,
      to: this.#to,
      axis: this.#axis,
      limits,
      lines: inks.map((ink, i) => ({
        name: names[i] ?? '',
        ink,
        stepped: this.#stepped[i] ?? false,
        stacked: roles[i]?.stacked ?? false,
        shown: this.#shown[i] ?? true,
      })),
    };
  }

  /** Shows the lines for which `shown` is true, and hides the others. */
  setVisible(shown: readonly boolean[]): void {
    shown.forEach((visible, i) => {
      if (this.#shown[i] === visible) return;
      this.#shown[i] = visible;
      this.#plot.setSeries(i + 1, { show: visible });
    });
    this.#fill();
    this.#place();
  }

  /** Marks a time that is held, null for none. */
  pin(time: number | null): void {
    // Two lines at one place would be one that looks like neither.
    this.#plot.over.toggleAttribute('data-held', time !== null && time === this.#options.hover());
    if (time === this.#pin) return;
    this.#pin = time;
    this.#plot.redraw(false);
  }

  /** Marks samples that are no numbers, at the lower edge. */
  #drawOdd({ ctx, bbox }: uPlot): void {
    const size = 4 * devicePixelRatio;
    const y = bbox.top + bbox.height;
    ctx.fillStyle = this.#options.look().muted;
    for (const time of this.#drawing.odd) {
      if (time < this.#from || time > this.#to) continue;
      const x = this.#plot.valToPos(time, 'x', true);
      ctx.beginPath();
      ctx.moveTo(x - size, y);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y - 1.5 * size);
      ctx.fill();
    }
  }

  #drawPin({ ctx, bbox }: uPlot): void {
    if (this.#pin === null || this.#pin < this.#from || this.#pin > this.#to) return;
    const x = Math.round(this.#plot.valToPos(this.#pin, 'x', true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = this.#options.look().palette[0]!;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  /** The place of the sample nearest to `left`, which is there where none is near; CSS pixels. */
  #snap(left: number): number {
    return left < 0 ? left : this.#plot.valToPos(this.#timeAt(left), 'x');
  }

  /** The time of the sample nearest to `left` CSS pixels, or that place's own where none is near, Unix ms. */
  #timeAt(left: number): number {
    const { x, ys } = this.#drawing;
    const time = Math.round(this.#plot.posToVal(left, 'x'));
    const at = nearestTime(x, time, i =>
      ys.some((values, line) => this.#shown[line] && typeof values[i] === 'number'),
    );
    return at === null || Math.abs(x[at]! - time) > this.#reach ? time : x[at]!;
  }

  /** The sample of line `i` nearest to `time`, looked for around place `near`; null where none is near enough. */
  #sampleNear(i: number, near: number, time: number): number | null {
    const { x, ys } = this.#drawing;
    const own = nearestOwn(ys[i] ?? [], near);
    return own !== null && Math.abs(x[own]! - time) <= this.#reach ? own : null;
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
    const { form, roles, unit, limits } = this.#options;
    this.#laid = layOut(ys, roles, this.#shown);
    this.#stepped = ys.map(isState);
    let [low, high, least, whole] = [
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ];
    this.#laid.forEach((values, i) => {
      if (!this.#shown[i]) return;
      let most = Number.NEGATIVE_INFINITY;
      for (const value of values) {
        if (typeof value !== 'number') continue;
        if (value < low) low = value;
        if (value > most) most = value;
        if (value > 0 && value < least) least = value;
      }
      if (most > high) high = most;
      if (!roles[i]?.stacked) whole = Math.max(most, Number.isNaN(whole) ? most : whole);
    });
    const states = this.#stepped.length > 0 && this.#stepped.every(Boolean);
    this.#axis = axisOf(form, { low, high, least, states, whole }, unit, limits);
    const places = this.#laid.map(values =>
      values.map(value => (typeof value === 'number' ? this.#axis.place(value) : value)),
    );
    this.#plot.setData([x, ...places]);
  }

  /** Fills what is stacked: each line down to the next one below it that is shown. */
  #fill(): void {
    const { roles, inks, look } = this.#options;
    this.#plot.delBand(null);
    const stacked = roles.flatMap(({ stacked }, i) => (stacked && this.#shown[i] ? [i] : []));
    stacked.slice(1).forEach((line, k) => {
      const fill = (): string => look().area[inks[line]!.colour]!;
      this.#plot.addBand({ series: [line + 1, stacked[k]! + 1], fill });
    });
  }

  #series(i: number): uPlot.Series {
    const { inks, look, roles } = this.#options;
    const { colour, dash } = inks[i]!;
    return {
      stroke: () => look().palette[colour]!,
      width: WIDE,
      dash: [...DASHES[dash]!],
      // A line alone may fill the paper below it; several would hide each other.
      // The area below a line tells an amount, so it begins at zero or is not there.
      ...(inks.length === 1 || roles[i]?.stacked ? { fillTo: 0, fill: () => this.#below(i) } : {}),
      paths: (plot, series, from, to) => (this.#stepped[i] ? STEPS : LINES)(plot, series, from, to),
      points: {
        show: false,
        size: 4,
        fill: () => look().palette[colour]!,
        filter: () => {
          const { x, ys } = this.#drawing;
          // In a declared gap a dot would be taken for a value that is known to be whole.
          const found = isolated(ys[i] ?? [])?.filter(at => !this.#gaps.some(gap => isInside(x[at]!, gap)));
          return found && found.length > 0 ? found : null;
        },
      },
    };
  }

  /** The colour below line `i`, down to zero. */
  #below(i: number): string {
    const { inks, look, roles, form } = this.#options;
    const { colour } = inks[i]!;
    const isLowest = roles.findIndex(({ stacked }, line) => stacked && this.#shown[line]) === i;
    if (roles[i]?.stacked) return isLowest ? look().area[colour]! : 'transparent';
    return form === 'lines' && this.#axis.bottom === 0 ? look().wash[colour]! : 'transparent';
  }

  #setPointed(pointed: boolean): void {
    if (this.#pointed && !pointed) this.#options.hovered(null);
    this.#pointed = pointed;
  }

  #point(): void {
    if (!this.#pointed || !this.#moved) return;
    this.#moved = false;
    const { cursor, over } = this.#plot;
    const on = cursor.left !== undefined && cursor.left >= 0;
    this.#options.hovered(on ? this.#timeAt(cursor.left!) : null);
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
}
