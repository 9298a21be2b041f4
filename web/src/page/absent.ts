import { signal } from '@preact/signals';
import { type Absence, absence, type LastSample } from '../model/absence.ts';
import { unitOf } from '../model/format.ts';
import { NAME } from '../model/labels.ts';
import type { Panel } from '../model/panels.ts';
import { lastSample, Past } from '../model/past.ts';
import type { Page } from './page.ts';

/** Spans that are searched for a last sample, one after the other, seconds. */
const SEARCHED: readonly number[] = [3_600, 86_400, 2_592_000];

/** Values that are asked for of each series: only the last one is looked at. */
const POINTS = 8;

const NOTHING_THERE: Absence = { text: 'no sample in this time', near: [], show: null };

/** What a chart says while it has no sample: it looks into the past once, and at the catalogue. */
export class Absent {
  readonly said = signal<Absence | null>(null);
  readonly #page: Page;
  readonly #panel: Panel;
  #last: LastSample | null = null;
  #asked = false;

  constructor(page: Page, panel: Panel) {
    this.#page = page;
    this.#panel = panel;
  }

  /** There is nothing to draw at `now`. */
  tell(now: number): void {
    const { series, whole, window } = this.#page;
    if (!this.#asked && !this.#panel.vital) {
      this.#asked = true;
      this.#search(0);
    }
    const next = absence({
      panel: this.#panel,
      window: window.value,
      series: whole.value === true ? series.value : null,
      last: this.#last,
      now,
    });
    const said = this.said.value;
    if (said?.text !== next.text || said.show !== next.show || said.near.join() !== next.near.join())
      this.said.value = next;
  }

  /** The page shows a stretch of the past; `empty`: the chart has nothing there. */
  pause(empty: boolean): void {
    const said = empty ? NOTHING_THERE : null;
    if (this.said.value !== said) this.said.value = said;
  }

  /** There is something to draw. */
  clear(): void {
    if (this.said.value) this.said.value = null;
    this.#asked = false;
    this.#last = null;
  }

  #search(i: number): void {
    const span = SEARCHED[i];
    const to = Math.round(this.#page.clock.now());
    if (span === undefined || !Number.isFinite(to)) return;
    const request = { query: this.#panel.query, from: to - 1000 * span, to, points: POINTS };
    this.#page.client.history(request, answer => {
      if (!answer.ok || !this.#asked) return;
      const last = lastSample(new Past(answer).lines);
      if (!last) return this.#search(i + 1);
      const unit = this.#panel.unit ?? unitOf(last.line.labels[NAME] ?? '');
      this.#last = { time: last.time, value: last.value, unit };
      this.tell(this.#page.clock.now());
    });
  }
}
