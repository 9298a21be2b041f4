import { Catalogue } from '../model/catalogue.ts';
import type { ServerClock } from '../model/clock.ts';
import type { Connection } from '../model/condition.ts';
import {
  decodeBootstrap,
  decodeBye,
  decodeCatalogueAck,
  decodeCatalogueChange,
  decodeGap,
  decodeHello,
  decodeHistoryAck,
  decodeStatus,
  decodeSubscribeAck,
  decodeUpdate,
  WireError,
} from '../model/decode.ts';
import type { Extent } from '../model/line.ts';
import { Room } from '../model/room.ts';
import {
  type Hello,
  type HistoryAck,
  type HistoryRequest,
  type Labels,
  PROTOCOL,
  type Refusal,
  type SubscribeRequest,
} from '../model/wire.ts';
import * as texts from '../texts.ts';
import type { Transport } from './transport.ts';

/** A room that the page wants to be in, over all connections. */
export interface Subscription {
  readonly room: Room;
  /** Why the server did not let us in; null when it did, or has not answered yet. */
  readonly problem: Problem | null;
}

export interface Problem {
  readonly code: string;
  /** A sentence of the server's that says what to do. */
  readonly message: string;
}

/** Messages that were dropped because they break the protocol: how many, and what was wrong with the last. */
export interface Malformed {
  readonly count: number;
  readonly last: string;
}

/** What the page hears of. Called after the change, in the order of the messages. */
export interface ClientListener {
  connection(connection: Connection): void;
  /** The first message of every connection, before any room is asked for. */
  hello(hello: Hello): void;
  changed(subscription: Subscription): void;
  /** The series that match any of `queries`, or all; `whole` is false where the server has more than it lists. */
  catalogue(series: readonly Labels[], whole: boolean, queries: readonly string[]): void;
  malformed(malformed: Malformed): void;
}

/** The answer to a question that nobody heard, or whose answer could not be read. */
const NO_CONNECTION: Refusal = { ok: false, code: 'no_answer', message: texts.NO_ANSWER };

/** Refusals that pass: the same request may succeed later. */
const PASSING = new Set(['not_ready', 'overloaded', 'internal']);

/** Waits before a request is tried again, ms. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 15_000;

class Entry implements Subscription {
  readonly room: Room;
  problem: Problem | null = null;
  wanted = false;
  /** The room's id on the present connection, null before the acknowledgement. */
  id: string | null = null;
  /** Numbers the requests, so that the answer to an older one is not taken for the newest's. */
  attempt = 0;
  /** How many bootstraps the connection had brought when the newest request was made. */
  asked = 0;
  retryAfter = FIRST_RETRY;
  timer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: Room) {
    this.room = room;
  }
}

/**
 * Keeps the page's rooms up to date over one connection after another. When a connection comes, each wanted
 * room is asked for again from the position that it has reached; the server then sends what is missing, or all.
 *
 * A message that breaks the protocol is dropped and counted, and the connection is kept.
 */
export class LiveClient {
  readonly #transport: Transport;
  readonly #clock: ServerClock;
  readonly #listener: ClientListener;
  readonly #entries = new Set<Entry>();
  readonly #catalogue = new Catalogue();
  #watched: readonly string[] | null = null;
  #whole = true;
  /** What was asked for when the server listed the catalogue. */
  #listed: readonly string[] = [];
  #watching: ReturnType<typeof setTimeout> | undefined;
  #greeted = false;
  #returning = false;
  #malformed: Malformed = { count: 0, last: '' };
  /** How many bootstraps came, and which of them was the last of each of the present connection's rooms. */
  #bootstraps = 0;
  readonly #lastBootstrap = new Map<string, number>();

  constructor(transport: Transport, clock: ServerClock, listener: ClientListener) {
    this.#transport = transport;
    this.#clock = clock;
    this.#listener = listener;
  }

  /** The messages that were dropped so far. */
  get malformed(): Malformed {
    return this.#malformed;
  }

  open(): void {
    this.#transport.open({
      disconnected: () => this.#disconnected(),
      refused: message => this.#listener.connection({ kind: 'refused', message }),
      event: (name, argument) => this.#event(name, argument),
    });
  }

  close(): void {
    for (const entry of this.#entries) clearTimeout(entry.timer);
    clearTimeout(this.#watching);
    this.#transport.close();
  }

  /** A room to be in; `join` joins it. */
  subscription(query: string, extent: Extent): Subscription {
    const entry = new Entry(new Room(query, extent));
    this.#entries.add(entry);
    return entry;
  }

  /** Joins the room, now or as soon as there is a connection: for the first time, or where it was left. */
  join(subscription: Subscription): void {
    const entry = subscription as Entry;
    if (entry.wanted) return;
    entry.wanted = true;
    this.#ask(entry);
  }

  /** Asks for another window or another number of points. */
  resize(subscription: Subscription, extent: Extent): void {
    const entry = subscription as Entry;
    entry.room.resize(extent);
    if (entry.wanted) this.#ask(entry);
  }

  /** Leaves the room but keeps what is held, to go on from there. */
  leave(subscription: Subscription): void {
    const entry = subscription as Entry;
    if (!entry.wanted) return;
    entry.wanted = false;
    this.#part(entry);
  }

  /** Leaves the room for good. */
  drop(subscription: Subscription): void {
    this.leave(subscription);
    this.#entries.delete(subscription as Entry);
  }

  /** Has the listener told which series there are that match any of `queries`, or of all where there are none, from now on. */
  watch(queries: readonly string[]): void {
    this.#watched = queries;
    this.#askCatalogue();
  }

  /** Reads samples of the past once. Where that fails, the answer has no series and says why. */
  history(request: HistoryRequest, answered: (answer: HistoryAck) => void): void {
    if (!this.#greeted) {
      answered(NO_CONNECTION);
      return;
    }
    this.#transport.request('history', request, answer => {
      const ack = answer === undefined ? undefined : this.#read(() => decodeHistoryAck(answer));
      if (ack?.ok) this.#clock.observe(ack.now);
      answered(ack ?? NO_CONNECTION);
    });
  }

  #askCatalogue(): void {
    clearTimeout(this.#watching);
    const match = this.#watched;
    if (!this.#greeted || match === null) return;
    this.#transport.request('catalogue', match.length > 0 ? { match } : {}, answer => {
      if (match !== this.#watched || !this.#greeted) return;
      const ack = answer === undefined ? undefined : this.#read(() => decodeCatalogueAck(answer));
      if (ack?.ok) {
        this.#catalogue.replace(ack.series);
        this.#whole = !ack.truncated;
        this.#listed = match;
        this.#listener.catalogue(this.#catalogue.series, this.#whole, this.#listed);
      } else if (!ack || PASSING.has(ack.code)) {
        this.#watching = setTimeout(() => this.#askCatalogue(), LONGEST_RETRY);
      }
    });
  }

  #ask(entry: Entry): void {
    clearTimeout(entry.timer);
    if (!this.#greeted) return;
    const { query, extent, position } = entry.room;
    const request: SubscribeRequest = {
      query,
      window: extent.window / 1000,
      points: extent.points,
      ...(position === null ? {} : { since: position }),
    };
    const attempt = ++entry.attempt;
    entry.asked = this.#bootstraps;
    this.#transport.request('subscribe', request, answer => {
      if (entry.attempt === attempt) this.#answered(entry, answer);
    });
  }

  #answered(entry: Entry, answer: unknown): void {
    const ack = answer === undefined ? undefined : this.#read(() => decodeSubscribeAck(answer));
    if (ack?.ok) {
      // Two charts of one room are one viewer to the server. It may answer both and then bootstrap it once, before the page
      // could know that this chart is of that room.
      const missed = entry.id === null && (this.#lastBootstrap.get(ack.room) ?? 0) > entry.asked;
      entry.id = ack.room;
      entry.problem = null;
      entry.retryAfter = FIRST_RETRY;
      if (entry.wanted) entry.room.acknowledged(ack.matched);
      else this.#part(entry);
      if (entry.wanted && missed) this.#ask(entry);
    } else {
      entry.problem = ack ? { code: ack.code, message: ack.message } : null;
      if (!ack || PASSING.has(ack.code)) {
        entry.timer = setTimeout(() => this.#ask(entry), entry.retryAfter);
        entry.retryAfter = Math.min(2 * entry.retryAfter, LONGEST_RETRY);
      }
    }
    this.#listener.changed(entry);
  }

  #part(entry: Entry): void {
    clearTimeout(entry.timer);
    const room = entry.id;
    entry.id = null;
    entry.room.detach();
    const shared = [...this.#entries].some(other => other.id === room);
    if (room !== null && this.#greeted && !shared) this.#transport.request('unsubscribe', { room }, () => {});
  }

  #disconnected(): void {
    this.#greeted = false;
    this.#lastBootstrap.clear();
    for (const entry of this.#entries) {
      clearTimeout(entry.timer);
      entry.attempt++;
      entry.id = null;
      entry.room.detach();
    }
    this.#listener.connection({ kind: this.#returning ? 'restarting' : 'lost' });
  }

  #event(name: string, argument: unknown): void {
    switch (name) {
      case 'hello':
        this.#take(decodeHello, argument, hello => this.#hello(hello));
        break;
      case 'bootstrap':
        this.#take(decodeBootstrap, argument, m => {
          this.#lastBootstrap.set(m.room, ++this.#bootstraps);
          this.#deliver(m.room, room => room.bootstrap(m), m.now);
        });
        break;
      case 'update':
        this.#take(decodeUpdate, argument, m => this.#deliver(m.room, room => room.update(m), m.now));
        break;
      case 'status':
        this.#take(decodeStatus, argument, m => this.#deliver(m.room, room => room.status(m)));
        break;
      case 'gap':
        this.#take(decodeGap, argument, m => this.#deliver(m.room, room => room.gap(m)));
        break;
      case 'catalogue':
        this.#take(decodeCatalogueChange, argument, change => {
          this.#catalogue.change(change);
          this.#listener.catalogue(this.#catalogue.series, this.#whole, this.#listed);
        });
        break;
      case 'bye':
        this.#take(decodeBye, argument, bye => {
          this.#returning = true;
          this.#transport.postpone(bye.retry);
        });
        break;
      default: // an event of a later protocol; this page does not need it
    }
  }

  #hello(hello: Hello): void {
    if (hello.protocol !== PROTOCOL) {
      this.#transport.close();
      this.#listener.connection({ kind: 'outdated' });
      return;
    }
    this.#clock.observe(hello.now);
    // The page may choose other windows by what hello says: before anything is asked for, so that it is asked once.
    this.#listener.hello(hello);
    this.#greeted = true;
    this.#returning = false;
    this.#listener.connection({ kind: 'open' });
    for (const entry of this.#entries) if (entry.wanted) this.#ask(entry);
    this.#askCatalogue();
  }

  /** Hands a message to the rooms of that id; two spellings of one query are two rooms here and one there. */
  #deliver(id: string, change: (room: Room) => void, now?: number): void {
    if (now !== undefined) this.#clock.observe(now);
    for (const entry of this.#entries) {
      if (entry.id !== id) continue;
      change(entry.room);
      this.#listener.changed(entry);
    }
  }

  #take<T>(decode: (argument: unknown) => T, argument: unknown, handle: (message: T) => void): void {
    const message = this.#read(() => decode(argument));
    if (message !== undefined) handle(message);
  }

  /** Runs a decoder; undefined where the message breaks the protocol. Other faults are ours and not caught. */
  #read<T>(decode: () => T): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#malformed = { count: this.#malformed.count + 1, last: error.message };
      this.#listener.malformed(this.#malformed);
      return undefined;
    }
  }
}
