import { computed, signal } from '@preact/signals';
import { LOOKS } from '../charts/look.ts';
import type { Drawable } from '../charts/loop.ts';
import type { Picture } from '../charts/picture.ts';
import { Strip } from '../charts/strip.ts';
import type { Subscription } from '../live/client.ts';
import { type ChartState, chartState } from '../model/condition.ts';
import type { Column } from '../model/csv.ts';
import { type Drawing, draw } from '../model/drawing.ts';
import { rolesOf } from '../model/form.ts';
import { gapsOf, sameGaps } from '../model/gap.ts';
import type { DeclaredGap, Extent, Line } from '../model/line.ts';
import type { Panel } from '../model/panels.ts';
import { momentText, stretchText } from '../model/times.ts';
import * as texts from '../texts.ts';
import { Absent } from './absent.ts';
import { Beginning } from './beginning.ts';
import type { Page } from './page.ts';
import { type Pen, Pens, type Row } from './pens.ts';
import type { Pinned } from './pin.ts';
import { Reader } from './reader.ts';
import type { Stretch } from './timeline.ts';

/** Points that a chart asks for: few sizes, because viewers that ask for the same share one history. */
const POINTS: readonly number[] = [1_200, 2_400, 4_800];

/** All charts of the page move their crosshairs together. */
const GROUP = 'stripchart';

/** However slowly the paper moves, a chart with something new is drawn after this many ms. */
const LONGEST_PACE = 5_000;

/** However rarely something comes, the paper rests no longer than this, ms: charts beside each other show one time. */
const LONGEST_REST = 2_000;

const LIVE: ChartState = { text: '', fault: false };
const READING: ChartState = { text: texts.READING, fault: false };

/** A sample this near to a time, CSS pixels, is told for it. */
const NEAR = 6;

/** Distance of samples where the server does not know it yet, ms. */
const UNKNOWN_INTERVAL = 1_000;

/** One chart of the page: its subscription, its pens, and what stands below and beside it. */
export class View implements Drawable {
  readonly panel: Panel;
  readonly subscription: Subscription;
  readonly pens: Pens;
  /** What is said while there is no sample. */
  readonly absent: Absent;
  /** Stands in the chart's place while there is nothing to draw; empty otherwise. */
  readonly message = signal('');
  /** Whether `message` is a refusal. */
  readonly refused = signal(false);
  /** What one should know about the chart, such as lines left out; may be empty. */
  readonly note = signal('');
  /** How the chart's room stands; empty while it is live. */
  readonly state = signal<ChartState>(LIVE);
  /** The gaps that were declared on its lines, ascending. */
  readonly gaps = signal<readonly DeclaredGap[]>([]);
  /** The values at the time that is held on this chart, null while none is; `left`: there is more room there. */
  readonly pinned = signal<{
    readonly time: string;
    readonly rows: readonly Row[];
    readonly left: boolean;
  } | null>(null);
  /** The line under the pointer, by its place in the legend; -1 for none. */
  readonly focused = signal(-1);
  /** Whether lines are left out that another ranking might bring. */
  readonly crowded = signal(false);
  /** The only pen, where there is just one. */
  readonly single = computed(() => (this.pens.list.value.length === 1 ? this.pens.list.value[0]! : null));
  /** When its recording began, Unix ms, where that is on the paper. */
  began: number | null = null;
  readonly #page: Page;
  readonly #root: HTMLElement;
  #strip: Strip | null = null;
  #width: number;
  #height: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  /** What is newer than the drawing: nothing, something that can wait for its pace, or something that cannot. */
  #news: 'none' | 'some' | 'urgent' = 'urgent';
  /** Whether parts of a history are under way, as last drawn. */
  #loading = false;
  #present = false;
  readonly #reader: Reader;
  readonly #beginning: Beginning;
  #failed = false;

  /** Draws into `root`, which is `width` by `height` CSS pixels. Joins its room when it becomes present. */
  constructor(page: Page, panel: Panel, root: HTMLElement, width: number, height: number) {
    this.#page = page;
    this.panel = panel;
    this.pens = new Pens(panel, () => page.hosts.value);
    this.absent = new Absent(page, panel);
    this.#root = root;
    this.#width = width;
    this.#height = height;
    this.subscription = page.client.subscription(panel.query, this.#extent());
    this.#beginning = new Beginning(page.client, panel, () => this.#mark('urgent'));
    this.#reader = new Reader(page.client, panel.query, () => this.#mark('urgent'));
    page.attach(this);
  }

  close(): void {
    this.#page.detach(this);
    this.#reader.forget();
    this.#page.client.drop(this.subscription);
    this.#page.loop.remove(this);
    this.#strip?.close();
  }

  /** Joins or leaves the room, as somebody may see the chart or not. */
  setPresent(present: boolean): void {
    this.#present = present;
    if (present) this.#page.client.join(this.subscription);
    else this.#page.client.leave(this.subscription);
    this.#mark('urgent');
  }

  resize(width: number, height: number): void {
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    this.#strip?.resize(width, height);
    // Only folded lines gain by more points: raw ones are complete already.
    const { room } = this.subscription;
    const coarse = room.lines.some(line => line.columns) && this.#extent().points > room.extent.points;
    if (coarse) this.#page.client.resize(this.subscription, this.#extent());
    this.#mark('urgent');
  }

  /** The page shows another window now. */
  windowChanged(): void {
    if (this.#extent().window === this.subscription.room.extent.window) return;
    this.#page.client.resize(this.subscription, this.#extent());
    this.#mark('urgent');
  }

  /** The room has something new. */
  changed(): void {
    // Parts of a history do not wait for the paper to move: until they are drawn the chart shows less than there is.
    const { loading, touched } = this.subscription.room;
    this.#reader.expire(touched);
    this.#mark(loading || this.#loading ? 'urgent' : 'some');
    this.#loading = loading;
  }

  /** Moves the cursor to a time, or away. */
  point(time: number | null): void {
    this.#strip?.point(time);
  }

  /** The time at which the crosshair stands, Unix ms; null for nowhere. */
  get crosshair(): number | null {
    return this.#strip?.crosshair ?? null;
  }

  /** The time of the sample `by` samples away from `time`, the last one where `time` is null; null for no sample. */
  step(time: number | null, by: number): number | null {
    return this.#strip?.step(time, by) ?? null;
  }

  /** The page shows another stretch of time, or goes on live. */
  moved(): void {
    if (!this.#page.time.fixed.value) this.#reader.forget();
    this.#mark('urgent');
  }

  /** A stretch is being selected on this chart or on another. */
  selecting(): void {
    this.#strip?.select(this.#page.time.selecting.value);
  }

  /** The pointer moved, on this chart or on another. */
  pointed(): void {
    this.#mark('none');
  }

  /** Time passed: the paper moves on, though nothing came. */
  pulse(): void {
    const quiet = this.#page.clock.now() - this.#drawnAt;
    const due = Math.min(1.2 * this.subscription.room.interval, LONGEST_REST);
    if (quiet > Math.max(this.#pace(), due, 1_000)) this.#mark('some');
  }

  repaint(): void {
    this.#strip?.repaint();
  }

  /** Chooses the lines to draw anew, by their present means. */
  rank(): void {
    this.pens.forget();
    this.#mark('urgent');
  }

  /** Hides a line, or shows it again. */
  toggle(pen: Pen): void {
    pen.shown.value = !pen.shown.value;
    this.#showPens();
  }

  /** Shows one line only, or all of them again. */
  isolate(pen: Pen): void {
    this.pens.isolate(pen);
    this.#showPens();
  }

  /** The chart as a picture, with its title and its times; null while there is none. */
  picture(): Picture | null {
    const { from, to } = this.#page.time.at(this.#page.clock.now());
    const names = this.pens.list.value.map(pen => pen.title);
    return this.#strip?.picture(this.panel.title, stretchText(from, to, to), names) ?? null;
  }

  /** The lines that are shown, by their names. */
  columns(): Column[] {
    return this.pens.list.value
      .filter(pen => pen.shown.value)
      .map(({ title, line, unit }) => ({ name: title, line, unit }));
  }

  #showPens(): void {
    this.#strip?.setVisible(this.pens.list.value.map(pen => pen.shown.value));
    this.#mark('none');
  }

  draw(now: number): void {
    if (!this.#present) return;
    const { room } = this.subscription;
    const fixed = this.#page.time.fixed.value;
    const { from, to } = this.#page.time.at(now);
    if (fixed) this.#reader.want(fixed, this.#extent().points, now);
    const pens = this.pens.follow(this.lines, from);
    if (pens === 'other') this.#mount();
    if (pens === 'same') this.#news = 'urgent';
    this.#say(now);
    const end = room.loading ? room.newest : now;
    const held = this.#page.pin.held.value;
    const time = this.#page.hover.value ?? held?.time ?? (fixed && to);
    const reach = this.reach(from, to);
    this.pens.writeValues(time, reach, fixed ? null : end, this.panel.limits);
    this.#tellPinned(held, reach, from, to);
    this.#strip?.pin(held?.time ?? null);
    if (!this.#strip || this.#news === 'none') return;
    if (this.#news === 'some' && (fixed || now - this.#drawnAt < this.#pace())) return;
    this.#news = 'none';
    this.#drawnAt = now;
    this.#show(this.#known(from, end), from, to);
    if (this.single.value || this.#page.numbers.value) this.pens.writeStats(from, to);
  }

  /** Writes the table of the time that is held on this chart. */
  #tellPinned(held: Pinned | null, reach: number, from: number, to: number): void {
    if (held?.panel !== this.panel.id) {
      if (this.pinned.value) this.pinned.value = null;
      return;
    }
    this.pinned.value = {
      time: momentText(held.time, from, to),
      rows: this.pens.rows(held.time, reach),
      left: held.time > (from + to) / 2,
    };
  }

  /** The lines that are drawn: those of the past where it stands still and has been read, else those of the room. */
  get lines(): readonly Line[] {
    const past = this.#page.time.fixed.value && this.#reader.past;
    return past ? past.lines : this.subscription.room.lines;
  }

  /** Whether somebody may see it, so that its room is kept up to date. */
  get present(): boolean {
    return this.#present && this.subscription.room.joined;
  }

  /** Whether what is to be shown of the past is on its way. */
  get reading(): boolean {
    return this.#page.time.fixed.value !== null && this.#reader.loading;
  }

  /** The stretch of which everything is here: of the room its window up to `end`, of the past what was read. */
  #known(from: number, end: number): Stretch {
    if (!this.#page.time.fixed.value) return { from, to: end };
    const { past } = this.#reader;
    return past ?? { from: end - this.subscription.room.extent.window, to: end };
  }

  /**
   * Draws what is known. A chart that cannot be drawn says so, and the others go on: values come from anywhere, and one of
   * them must not take the page away.
   */
  #show(known: Stretch, from: number, to: number): void {
    const lines = this.pens.list.value.map(pen => pen.line);
    try {
      const drawing = draw(lines, from, to, known);
      const { began, hole } = this.#before(drawing, from, known);
      this.began = began;
      this.#strip!.show({
        drawing: hole ? { ...drawing, holes: [hole, ...drawing.holes] } : drawing,
        gaps: this.gaps.value,
        from,
        to,
        known,
        reach: this.reach(from, to),
        began,
      });
    } catch (error) {
      reportError(error);
      this.#strip?.close();
      this.#strip = null;
      this.#failed = true;
      this.message.value = texts.CANNOT_BE_DRAWN;
    }
  }

  /** What the empty paper before the first sample is, where there is some: the time before all, or a hole. */
  #before({ x }: Drawing, from: number, known: Stretch): { began: number | null; hole: Stretch | null } {
    const { room } = this.subscription;
    const [first] = x;
    const none = { began: null, hole: null };
    if (first === undefined || known.from > from || room.loading) return none;
    if (first - from < 1.5 * (room.interval || UNKNOWN_INTERVAL)) return none;
    const before = this.#beginning.before(first, room.patience);
    return {
      began: before === 'began' ? first : null,
      hole: before === 'hole' ? { from, to: first } : null,
    };
  }

  /** How far from a time a sample may be that is told for it, ms: as far as one sees no distance, at least. */
  reach(from: number, to: number): number {
    const interval = this.subscription.room.interval || UNKNOWN_INTERVAL;
    return Math.max(1.5 * interval, (NEAR * (to - from)) / Math.max(1, this.#width));
  }

  #mark(news: 'none' | 'some' | 'urgent'): void {
    if (news === 'urgent' || (news === 'some' && this.#news === 'none')) this.#news = news;
    this.#page.loop.mark(this);
  }

  #extent(): Extent {
    // Four values draw a column of pixels as all samples in it would.
    const wanted = 4 * this.#width * devicePixelRatio;
    return {
      window: 1000 * this.#page.window.value,
      points: POINTS.find(points => points >= wanted) ?? POINTS[POINTS.length - 1]!,
    };
  }

  /** Shortest time between two drawings, ms: in it the paper moves by half a pixel. */
  #pace(): number {
    return Math.min(LONGEST_PACE, (500 * this.#page.window.value) / (this.#width * devicePixelRatio));
  }

  #mount(): void {
    this.#strip?.close();
    this.#strip = null;
    this.#news = 'urgent';
    const pens = this.pens.list.value;
    if (pens.length === 0 || this.#failed) return;
    const strip = new Strip(this.#root, this.#width, this.#height, {
      unit: this.pens.unit,
      limits: this.panel.limits,
      inks: pens.map(pen => pen.ink),
      form: this.panel.form,
      roles: rolesOf(
        this.panel.form,
        pens.map(({ line }) => Object.values(line.labels).join(' ')),
      ),
      look: () => LOOKS[this.#page.theme.shade.value],
      group: GROUP,
      hovered: time => {
        this.#page.hover.value = time;
      },
      hover: () => this.#page.hover.value,
      focused: i => {
        this.focused.value = i;
      },
      tapped: (time, reach) => this.#page.pin.tap(this.panel.id, time, reach),
      selecting: stretch => {
        this.#page.time.selecting.value = stretch;
      },
      selected: stretch => this.#page.time.zoom(stretch),
      grabbed: () => this.#page.time.at(this.#page.clock.now()),
      pulled: (start, ms) => this.#page.time.slide(start, -ms),
      released: () => this.#page.time.settle(),
      reset: () => this.#page.time.live(),
    });
    this.#strip = strip;
    if (pens.some(pen => !pen.shown.value)) this.#showPens();
  }

  #say(now: number): void {
    const { room, problem } = this.subscription;
    const drawn = this.pens.list.value.length;
    this.refused.value = problem !== null;
    this.message.value = problem?.message ?? (this.#failed ? texts.CANNOT_BE_DRAWN : '');
    if (this.#page.time.fixed.value) this.absent.pause(drawn === 0 && !this.reading && !problem);
    else if (room.joined && drawn === 0 && !problem) this.absent.tell(now);
    else this.absent.clear();
    this.crowded.value = room.lines.length > drawn;
    this.note.value =
      drawn > 0 && this.crowded.value
        ? texts.someLines(drawn, room.matched)
        : this.pens.mixed
          ? texts.SEVERAL_UNITS
          : '';
    const fixed = this.#page.time.fixed.value;
    const state = room.loading ? LIVE : chartState(room, now);
    const said = fixed ? (this.reading ? READING : LIVE) : state;
    if (said.text !== this.state.value.text) this.state.value = said;
    // Those that were told meanwhile are of the room's lines.
    const told = fixed ? [...room.lines, ...this.lines] : this.pens.list.value.map(pen => pen.line);
    const gaps = gapsOf(told);
    if (!sameGaps(gaps, this.gaps.value)) {
      this.gaps.value = gaps;
      this.#news = 'urgent';
      this.#page.tellGap(gaps.at(-1));
    }
  }
}
