import { identity } from './labels.ts';
import { type Extent, Line } from './line.ts';
import type { Block, Bootstrap, Descriptor, Gap, RoomState, Status, Update } from './wire.ts';

/**
 * What the page holds of one room: the series of a query over a window, kept up to date by the room's
 * messages. After any of them it holds every sample that was sent once, in order.
 *
 * It outlives connections. `position` is where to go on from; the server's ids live only as long as a
 * connection, so lines are found by their labels.
 */
export class Room {
  readonly query: string;
  #extent: Extent;
  readonly #lines = new Map<string, Line>();
  #list: readonly Line[] | null = null;
  readonly #byId = new Map<number, Line>();
  #position: string | null = null;
  /** False from a change of the extent to the bootstrap that answers it: then the position is of no use. */
  #fits = true;
  #answered = true;
  #joined = false;
  #loading = false;
  #state: RoomState = 'live';
  #since = 0;
  #matched = 0;
  #unknown = 0;
  #revision = 0;
  #touched = Number.POSITIVE_INFINITY;

  constructor(query: string, extent: Extent) {
    this.query = query;
    this.#extent = extent;
  }

  get extent(): Extent {
    return this.#extent;
  }

  /** In the order in which the server named them. The same array as long as they are the same lines. */
  get lines(): readonly Line[] {
    this.#list ??= [...this.#lines.values()];
    return this.#list;
  }

  /** The place in the log up to which everything of the extent is here; null where there is no such place yet. */
  get position(): string | null {
    return this.#fits ? this.#position : null;
  }

  /** Whether the room's history is here, however short. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Whether a history is under way of which parts have not arrived: what is newer than the newest sample is not known. */
  get loading(): boolean {
    return this.#loading;
  }

  /** What the server last said about the room. */
  get state(): RoomState {
    return this.#state;
  }

  /** Since when the server has it in that state, Unix ms; 0 where it did not say. */
  get since(): number {
    return this.#since;
  }

  /** How many series match the query; more than lines when the server sends only some. */
  get matched(): number {
    return this.#matched;
  }

  /** Rows that were left out because their id was never explained. */
  get unknown(): number {
    return this.#unknown;
  }

  /** Changes with every change of what is held. */
  get revision(): number {
    return this.#revision;
  }

  /** The earliest time that the last message had something of, Unix ms; Infinity for none. */
  get touched(): number {
    return this.#touched;
  }

  /** Time of the newest sample of any line, -Infinity while there is none. */
  get newest(): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (const line of this.#lines.values()) newest = Math.max(newest, line.newestTime);
    return newest;
  }

  /** The usual distance of samples of the fastest line in ms, 0 while unknown. */
  get interval(): number {
    let interval = 0;
    for (const line of this.#lines.values()) {
      if (line.interval > 0 && (interval === 0 || line.interval < interval)) interval = line.interval;
    }
    return interval;
  }

  /** How long it may be silent before that is an outage, ms: as its least patient line. */
  get patience(): number {
    return Math.min(...this.lines.map(line => line.patience));
  }

  /** Whether any line comes in a steady rhythm, as the server takes it for granted. */
  get steady(): boolean {
    return this.lines.some(line => line.steady);
  }

  /** Another extent is wanted: what is here stays until the bootstrap for it replaces it. */
  resize(extent: Extent): void {
    this.#extent = extent;
    this.#fits = false;
    this.#answered = false;
    this.#revision++;
  }

  /** The server took the subscription for the present extent; `matched` series match it. */
  acknowledged(matched: number): void {
    this.#answered = true;
    this.#matched = matched;
    this.#revision++;
  }

  /** The room was left, or the connection lost: ids mean nothing from here on. */
  detach(): void {
    this.#byId.clear();
  }

  bootstrap(message: Bootstrap): void {
    if (message.series) {
      if (message.from === null) this.#reset();
      this.#learn(message.series);
    }
    this.#take(message.blocks, message.now);
    this.#loading = message.more;
    if (message.more) return;
    this.#position = message.position;
    this.#joined = true;
    this.#trim(message.now);
  }

  update(message: Update): void {
    // Of another chart of this room, whose history came before this one's: here it would have nothing to follow on.
    if (!this.#joined) return;
    this.#learn(message.series);
    this.#take(message.blocks, message.now);
    this.#position = message.position;
    if (message.matched !== null) this.#matched = message.matched;
    for (const id of message.gone) this.#byId.delete(id);
    this.#trim(message.now);
  }

  status(message: Status): void {
    this.#state = message.state;
    this.#since = message.since;
    this.#revision++;
  }

  gap(message: Gap): void {
    this.#touched = message.from;
    for (const id of message.ids) {
      this.#byId.get(id)?.addGap({ from: message.from, to: message.to, reason: message.reason });
    }
    this.#revision++;
  }

  /** Empties the room for a new bootstrap. Until its last part there is no position: half a history is nothing to go on from. */
  #reset(): void {
    this.#lines.clear();
    this.#list = null;
    this.#byId.clear();
    this.#position = null;
    this.#state = 'live';
    this.#fits = this.#answered;
  }

  #learn(series: readonly Descriptor[]): void {
    for (const { id, labels, interval } of series) {
      const key = identity(labels);
      let line = this.#lines.get(key);
      if (!line) {
        line = new Line(labels, interval, this.#extent);
        this.#lines.set(key, line);
        this.#list = null;
      }
      line.interval = interval;
      this.#byId.set(id, line);
    }
  }

  #take(blocks: readonly Block[], now: number): void {
    this.#revision++;
    this.#touched = Number.POSITIVE_INFINITY;
    for (const block of blocks) {
      const start = block.kind === 'columns' ? block.x0 : block.x[0];
      if (start !== undefined) this.#touched = Math.min(this.#touched, start);
      block.ids.forEach((id, row) => {
        const line = this.#byId.get(id);
        if (!line) {
          this.#unknown++;
        } else if (block.kind === 'columns') {
          line.addColumns(block, row, now);
        } else {
          const values = block.ys[row]!;
          for (let i = 0; i < values.length; i++) line.add(block.x[i]!, values[i]!, now);
        }
      });
    }
  }

  /** Lets go of what left the window. A line that is over is kept while the server may still speak of it. */
  #trim(now: number): void {
    const spoken = new Set(this.#byId.values());
    for (const [key, line] of this.#lines) {
      line.trim(now);
      if (spoken.has(line) || !line.isOver(now)) continue;
      this.#lines.delete(key);
      this.#list = null;
    }
  }
}
