import { signal } from '@preact/signals';
import { type Absence, absence, type LastSample } from '../model/absence.ts';
import type { Panel } from '../model/panels.ts';
import * as texts from '../texts.ts';
import { lookBack } from './lookback.ts';
import type { Page } from './page.ts';

const NOTHING_THERE: Absence = { text: texts.NO_SAMPLE_HERE, near: [], show: null };

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
    if (!this.#panel.vital) this.#page.askWhole();
    if (!this.#asked && !this.#panel.vital) {
      this.#asked = true;
      this.#search();
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

  #search(): void {
    const to = Math.round(this.#page.clock.now());
    if (!Number.isFinite(to)) return;
    void lookBack(this.#page.client, this.#panel.query, to, this.#panel.unit).then(last => {
      // What was not answered is asked again with the next look.
      if (last === undefined) this.#asked = false;
      if (!last || !this.#asked) return;
      this.#last = last;
      this.tell(this.#page.clock.now());
    });
  }
}
