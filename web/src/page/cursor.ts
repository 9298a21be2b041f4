import { formatValue } from '../model/format.ts';
import { valueNear } from '../model/rank.ts';
import { statsOf, trendOf } from '../model/stats.ts';
import { momentText } from '../model/times.ts';
import * as texts from '../texts.ts';
import type { Page } from './page.ts';
import type { Pen } from './pens.ts';
import type { View } from './view.ts';

/** Samples that an arrow passes while Shift is held. */
const LEAP = 10;

/** Lines that a summary tells of: nobody listens to more. */
const MOST_TOLD = 8;

/**
 * Reads a chart by keys: arrows move the cursor that all charts share from sample to sample and from line to line, and
 * what stands there is said.
 */
export class Cursor {
  readonly #page: Page;
  #time: number | null = null;
  /** The line that is read, by its place among those that are shown. */
  #line = 0;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Does what a key means on a chart; returns whether it means anything. */
  press(view: View, key: string, shift: boolean): boolean {
    const by = shift ? LEAP : 1;
    switch (key) {
      case 'ArrowLeft':
        this.#move(view, view.step(this.#time, -by));
        return true;
      case 'ArrowRight':
        this.#move(view, view.step(this.#time, by));
        return true;
      case 'Home':
        this.#move(view, view.step(Number.NEGATIVE_INFINITY, 1));
        return true;
      case 'End':
        this.#move(view, view.step(null, -1));
        return true;
      case 'ArrowUp':
        this.#choose(view, -1);
        return true;
      case 'ArrowDown':
        this.#choose(view, 1);
        return true;
      case 'Enter':
        this.#page.say(summary(view, this.#page));
        return true;
      case 'p':
        if (this.#time !== null) this.#page.pin.tap(view.panel.id, this.#time, 1);
        return true;
      case 't':
        this.#page.table.value = view;
        return true;
      default:
        return false;
    }
  }

  /** The chart is not read any more; what is read next begins where this ended. */
  leave(): void {
    if (this.#time !== null) this.#page.point(null);
  }

  #move(view: View, time: number | null): void {
    if (time === null) return;
    this.#time = time;
    this.#page.point(time);
    this.#tell(view);
  }

  #choose(view: View, by: number): void {
    const count = shown(view).length;
    this.#line = (this.#line + by + count) % Math.max(1, count);
    if (this.#time === null) this.#move(view, view.step(null, -1));
    else this.#tell(view);
  }

  #tell(view: View): void {
    const pens = shown(view);
    const pen = pens[Math.min(this.#line, pens.length - 1)];
    if (!pen || this.#time === null) return;
    const { from, to } = this.#page.time.at(this.#page.clock.now());
    const value = formatValue(valueNear(pen.line, this.#time, view.reach(from, to)), pen.unit);
    this.#page.say(texts.sample(momentText(this.#time, from, to), value, nameOf(view, pen)));
  }
}

function shown(view: View): Pen[] {
  return view.pens.list.value.filter(pen => pen.shown.value);
}

/** What a line is called aloud: by its chart where it is alone. */
function nameOf(view: View, pen: Pen): string {
  return view.single.value ? view.panel.title : pen.title;
}

/** What a chart shows, in a few sentences. */
function summary(view: View, page: Page): string {
  const { from, to } = page.time.at(page.clock.now());
  const told = shown(view)
    .slice(0, MOST_TOLD)
    .map(pen => {
      const stats = statsOf(pen.line, from, to);
      if (!stats) return '';
      const [least, most, last] = [stats.min, stats.max, pen.line.newestValue].map(v =>
        formatValue(v, pen.unit),
      );
      return texts.summary(
        nameOf(view, pen),
        least!,
        most!,
        last!,
        texts.TRENDS[trendOf(pen.line, from, to)],
      );
    })
    .filter(Boolean);
  const state = view.state.value.text;
  return [state, ...told].filter(Boolean).join(' ') || view.absent.said.value?.text || texts.NO_SAMPLE_HERE;
}
