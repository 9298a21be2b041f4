import { signal } from '@preact/signals';

/** A time that a reader holds on a chart. */
export interface Pinned {
  /** Unix ms. */
  readonly time: number;
  /** The chart that was clicked: it has the table of values. */
  readonly panel: string;
}

/** The time that is held on all charts, if any. */
export class Pin {
  readonly held = signal<Pinned | null>(null);

  /** A chart was clicked at `time`; a pin within `reach` ms of it is taken away instead. */
  tap(panel: string, time: number, reach: number): void {
    const held = this.held.value;
    const same = held?.panel === panel && Math.abs(held.time - time) <= reach;
    this.held.value = same ? null : { time, panel };
  }

  release(): void {
    this.held.value = null;
  }

  /** The paper has moved on; what has left it is not held any more. */
  leave(from: number): void {
    if (this.held.value && this.held.value.time < from) this.release();
  }
}
