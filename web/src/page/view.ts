import { type Signal, signal } from '@preact/signals';
import { LOOKS } from '../charts/look.ts';
import type { Drawable } from '../charts/loop.ts';
import { Strip } from '../charts/strip.ts';
import type { Subscription } from '../live/client.ts';
import { assignInks, type Ink } from '../model/colour.ts';
import { draw } from '../model/drawing.ts';
import { formatValue, type Unit, unitOf } from '../model/format.ts';
import { byKey, distinguishing, lineKey, NAME } from '../model/labels.ts';
import type { Extent, Line } from '../model/line.ts';
import type { Panel } from '../model/panels.ts';
import { choose, valueNear } from '../model/rank.ts';
import type { Page } from './page.ts';

/** A line's entry below its chart. */
export interface Entry {
  readonly key: string;
  readonly ink: Ink;
  /** The newest value, or the one under the pointer. */
  readonly value: Signal<string>;
  readonly shown: Signal<boolean>;
}

/** Points that a chart asks for: few sizes, because viewers that ask for the same share one history. */
const POINTS: readonly number[] = [1_200, 2_400, 4_800];

/** All charts move their crosshairs together. */
const GROUP = 'stripchart';

/** A chart that shows a long window need not be drawn at every sample, but at least this often, ms. */
const LONGEST_PACE = 5_000;

/** One chart of the page: its subscription, the lines that it draws, and what stands below and beside it. */
export class View implements Drawable {
  readonly panel: Panel;
  readonly legend = signal<readonly Entry[]>([]);
  /** Stands in the chart's place while there is nothing to draw; empty otherwise. */
  readonly message = signal('waiting for the first sample');
  /** Whether `message` is a refusal. */
  readonly refused = signal(false);
  /** What one should know about the chart, such as lines left out; may be empty. */
  readonly note = signal('');
  /** Whether asking for a new ranking of lines could change anything. */
  readonly ranked = signal(false);
  readonly #page: Page;
  readonly subscription: Subscription;
  readonly #root: HTMLElement;
  #strip: Strip | null = null;
  #lines: readonly Line[] = [];
  #keys = '';
  #inks: ReadonlyMap<string, Ink> = new Map();
  #unit: Unit = 'number';
  #width: number;
  #height: number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #forced = true;
  #present = false;

  /** Draws into `root`, which is `width` by `height` CSS pixels. */
  constructor(page: Page, panel: Panel, root: HTMLElement, width: number, height: number) {
    this.#page = page;
    this.panel = panel;
    this.#root = root;
    this.#width = width;
    this.#height = height;
    this.subscription = page.client.subscribe(panel.query, this.#extent());
    page.client.leave(this.subscription);
    page.attach(this.subscription, this);
  }

  close(): void {
    this.#page.detach(this.subscription);
    this.#page.client.drop(this.subscription);
    this.#page.loop.remove(this);
    this.#strip?.close();
  }

  /** Joins or leaves the room, as somebody may see the chart or not. */
  setPresent(present: boolean): void {
    this.#present = present;
    if (present) this.#page.client.rejoin(this.subscription);
    else this.#page.client.leave(this.subscription);
    this.#redraw();
  }

  resize(width: number, height: number): void {
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    this.#strip?.resize(width, height);
    // Only folded lines gain by more points: raw ones are complete already.
    const folded = this.#lines.some(line => line.columns);
    if (folded && this.#extent().points > this.subscription.room.extent.points) this.#ask();
    this.#redraw();
  }

  /** The page's window changed. */
  setWindow(): void {
    if (this.#extent().window === this.subscription.room.extent.window) return;
    this.#ask();
    this.#redraw();
  }

  /** The room changed. */
  changed(): void {
    this.#page.loop.mark(this);
  }

  /** The pointer moved, on this chart or on another. */
  pointed(): void {
    this.#page.loop.mark(this);
  }

  repaint(): void {
    this.#strip?.repaint();
  }

  /** Time passed: the paper moves on though nothing came. */
  pulse(): void {
    const { interval } = this.subscription.room;
    const quiet = this.#page.clock.now() - this.#drawnAt;
    if (quiet > Math.max(this.#pace(), 1.2 * interval, 1_000)) this.#page.loop.mark(this);
  }

  /** Chooses the lines to draw anew, by their present means. */
  rank(): void {
    this.#lines = [];
    this.#redraw();
  }

  toggle(entry: Entry): void {
    entry.shown.value = !entry.shown.value;
    const index = this.legend.value.indexOf(entry);
    if (index >= 0) this.#strip?.setVisible(index, entry.shown.value);
  }

  draw(now: number): void {
    if (!this.#present) return;
    this.#chooseLines(now);
    this.#say();
    this.#writeValues();
    if (!this.#forced && now - this.#drawnAt < this.#pace()) return;
    this.#forced = false;
    this.#drawnAt = now;
    const from = now - 1000 * this.#page.window.value;
    this.#strip?.show(draw(this.#lines, from, now), from, now);
  }

  #redraw(): void {
    this.#forced = true;
    this.#page.loop.mark(this);
  }

  #ask(): void {
    this.#page.client.resize(this.subscription, this.#extent());
  }

  #extent(): Extent {
    const wanted = 4 * this.#width * devicePixelRatio;
    return {
      window: 1000 * this.#page.window.value,
      points: POINTS.find(points => points >= wanted) ?? POINTS[POINTS.length - 1]!,
    };
  }

  /** Shortest time between two drawings, ms: the paper moves by one pixel in it. */
  #pace(): number {
    return Math.min(LONGEST_PACE, (1000 * this.#page.window.value) / (this.#width * devicePixelRatio) / 2);
  }

  #chooseLines(now: number): void {
    const { room } = this.subscription;
    const all = room.lines;
    const from = now - 1000 * this.#page.window.value;
    const chosen = choose(all, new Set(this.#lines), from);
    this.ranked.value = all.length > chosen.length;
    const apart = distinguishing(all.map(line => line.labels));
    const named = chosen
      .map(line => ({ line, key: lineKey(line.labels, apart) }))
      .sort((a, b) => byKey(a.key, b.key));
    const keys = named.map(({ key }) => key);
    this.#lines = named.map(({ line }) => line);
    if (keys.join('\n') === this.#keys) return;
    this.#keys = keys.join('\n');
    this.#unit = unitOf(this.#lines[0]?.labels[NAME] ?? '');
    this.#inks = assignInks(keys, this.#inks);
    this.legend.value = keys.map(key => ({
      key,
      ink: this.#inks.get(key)!,
      value: signal(''),
      shown: signal(true),
    }));
    this.#rebuild();
  }

  #rebuild(): void {
    this.#strip?.close();
    this.#strip = null;
    this.#forced = true;
    if (this.#lines.length === 0) return;
    this.#strip = new Strip(this.#root, this.#width, this.#height, {
      unit: this.#unit,
      inks: this.legend.value.map(entry => entry.ink),
      look: () => LOOKS[this.#page.theme.shade.value],
      group: GROUP,
      hovered: time => {
        this.#page.hover.value = time;
      },
    });
  }

  #say(): void {
    const { room, problem } = this.subscription;
    const empty = this.#lines.length === 0;
    this.refused.value = problem !== null;
    this.message.value = problem ? problem.message : empty ? 'waiting for the first sample' : '';
    const notes: string[] = [];
    if (room.matched > this.#lines.length && !empty)
      notes.push(`${this.#lines.length} of ${room.matched} lines, highest first`);
    if (room.state === 'not_stored') notes.push('not recorded');
    this.note.value = notes.join(' · ');
  }

  #writeValues(): void {
    const time = this.#page.hover.value;
    const step = this.subscription.room.interval || 1_000;
    this.legend.value.forEach((entry, i) => {
      const line = this.#lines[i]!;
      const value = time === null ? line.newestValue : valueNear(line, time, 1.5 * step);
      entry.value.value = formatValue(value, this.#unit);
    });
  }
}
