import type { LiveClient } from '../live/client.ts';
import type { LastSample } from '../model/absence.ts';
import type { Panel } from '../model/panels.ts';
import { lookBack } from './lookback.ts';

/** How long after a question that was not answered it is asked again, ms. */
const AGAIN = 2_000;

/** What a chart shows before its first sample: it began then, or nobody measured since the sample before. */
export type Before = 'began' | 'hole' | 'unknown';

/** Knows why the paper is empty before the first sample of what a chart shows. It asks the past once for each such sample. */
export class Beginning {
  readonly #client: LiveClient;
  readonly #panel: Panel;
  readonly #changed: () => void;
  #first = Number.NaN;
  #last: LastSample | null | undefined;

  /** `changed` is called when there is an answer. */
  constructor(client: LiveClient, panel: Panel, changed: () => void) {
    this.#client = client;
    this.#panel = panel;
    this.#changed = changed;
  }

  #askAgain(): void {
    this.#first = Number.NaN;
    this.#changed();
  }

  /** What lies before `first`, which is the first sample of a chart whose samples are `patience` ms apart at most. */
  before(first: number, patience: number): Before {
    if (first !== this.#first) {
      this.#first = first;
      this.#last = undefined;
      void lookBack(this.#client, this.#panel.query, Math.floor(first) - 1, null).then(last => {
        if (first !== this.#first) return;
        this.#last = last;
        if (last !== undefined) this.#changed();
        else setTimeout(() => this.#askAgain(), AGAIN);
      });
    }
    if (this.#last === undefined) return 'unknown';
    if (this.#last === null) return 'began';
    return first - this.#last.time > patience ? 'hole' : 'unknown';
  }
}
