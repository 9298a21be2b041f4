import type { LiveClient } from '../live/client.ts';
import { Past } from '../model/past.ts';
import type { Stretch } from './timeline.ts';

/** How long the wish has to stand still before it is asked for, ms: one moves over many stretches on the way to one. */
const SETTLED = 120;

/** How long after a failure, or after late samples, it is asked for again, ms. */
const AGAIN = 1_500;

/** What is read on both sides of a stretch, as a part of it: one step aside shows something at once. */
const MARGIN = 0.5;

/** Folded columns may be this many times as wide as wanted before finer ones are read. */
const COARSE = 1.5;

/** The most points that a history may have; the server says so too. */
const MOST_POINTS = 20_000;

/** Reads the past of one chart for a stretch that stands still, one request at a time. */
export class Reader {
  readonly #client: LiveClient;
  readonly #query: string;
  readonly #arrived: () => void;
  #past: Past | null = null;
  /** Points for a stretch as long as the one that `#past` was read for. */
  #wanted: (Stretch & { readonly points: number }) | null = null;
  #asking = false;
  /** Whether samples came that the past may lack. */
  #expired = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `arrived` is called when there is another past. */
  constructor(client: LiveClient, query: string, arrived: () => void) {
    this.#client = client;
    this.#query = query;
    this.#arrived = arrived;
  }

  /** What was read last, null for nothing. */
  get past(): Past | null {
    return this.#past;
  }

  /** Whether what is wanted is on its way. */
  get loading(): boolean {
    return this.#wanted !== null && !this.#suffices();
  }

  /** Wants a stretch with `points` values a line. `now` bounds what can be read. */
  want({ from, to }: Stretch, points: number, now: number): void {
    const end = Math.min(to, Math.floor(now));
    const before = this.#wanted;
    if (before && before.from === from && before.to === end && before.points === points) return;
    this.#wanted = { from, to: end, points };
    if (!this.#suffices()) this.#askIn(SETTLED);
  }

  /** The charts are live: nothing of the past is wanted any more. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#past = null;
    this.#wanted = null;
    this.#expired = false;
  }

  /** A sample of time `time` came late, or a connection came back: what was read may lack it. */
  expire(time: number): void {
    if (!this.#wanted || time > this.#wanted.to) return;
    this.#expired = true;
    this.#timer ??= setTimeout(() => this.#ask(), AGAIN);
  }

  #suffices(): boolean {
    const past = this.#past;
    const wanted = this.#wanted;
    if (!past || !wanted || wanted.from < past.from || wanted.to > past.to) return false;
    const step = (4 * (wanted.to - wanted.from)) / wanted.points;
    return !past.lines.some(({ columns }) => columns && columns.step > 1 && columns.step > COARSE * step);
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ms);
  }

  #ask(): void {
    this.#timer = undefined;
    const wanted = this.#wanted;
    if (!wanted || this.#asking) return;
    this.#asking = true;
    this.#expired = false;
    const margin = Math.ceil(MARGIN * (wanted.to - wanted.from));
    const request = {
      query: this.#query,
      from: Math.floor(wanted.from - margin),
      to: Math.ceil(wanted.to + margin),
      points: Math.min((1 + 2 * MARGIN) * wanted.points, MOST_POINTS),
    };
    this.#client.history(request, answer => {
      this.#asking = false;
      if (!this.#wanted) return;
      if (answer.ok) {
        this.#past = new Past(answer);
        this.#arrived();
      }
      if (!answer.ok || this.#expired) this.#askIn(AGAIN);
      else if (!this.#suffices()) this.#askIn(SETTLED);
    });
  }
}
