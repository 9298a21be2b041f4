import { signal } from '@preact/signals';
import type { Drawable } from '../charts/loop.ts';
import type { Subscription } from '../live/client.ts';
import { isCollected } from '../model/collected.ts';
import type { Extent } from '../model/line.ts';
import { type HostRow, OVERVIEW, overview } from '../model/overview.ts';
import type { Page } from './page.ts';

/** Values of a series that are asked for: a sparkline has no more places. */
const POINTS = 480;

/** Series that a room sends; docs/PROTOCOL.md, `limits.series`. */
const MOST_SERIES = 200;

/** Shortest time between two looks, ms. */
const PACE = 900;

/** What the overview shows: a room of its own, so that it tells the same whatever charts there are. */
export class Overview implements Drawable {
  readonly rows = signal<readonly HostRow[]>([]);
  /** Whether hosts or devices are left out because the server sends so many series only. */
  readonly crowded = signal(false);
  readonly subscription: Subscription;
  readonly #page: Page;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(page: Page) {
    this.#page = page;
    this.subscription = page.client.subscription(OVERVIEW, this.#extent());
  }

  setPresent(present: boolean): void {
    if (present) this.#page.client.join(this.subscription);
    else this.#page.client.leave(this.subscription);
  }

  /** The page shows another window. */
  windowChanged(): void {
    if (this.#extent().window === this.subscription.room.extent.window) return;
    this.#page.client.resize(this.subscription, this.#extent());
  }

  /** The room has something new, or time has passed. */
  changed(): void {
    this.#page.loop.mark(this);
  }

  draw(now: number): void {
    const { room } = this.subscription;
    if (now - this.#drawnAt < PACE || room.loading || !room.joined) return;
    this.#drawnAt = now;
    this.crowded.value = room.matched > MOST_SERIES;
    // A host that the server leaves out is not a silent one.
    const known = this.crowded.value ? [] : this.#collected();
    this.rows.value = overview(room.lines, known, now - room.extent.window, now);
  }

  /** The hosts that are measured, or were within the hour that the catalogue reaches back. */
  #collected(): Set<string> {
    return new Set(this.#page.series.value.filter(isCollected).map(({ host }) => host!));
  }

  #extent(): Extent {
    return { window: 1000 * this.#page.window.value, points: POINTS };
  }
}
