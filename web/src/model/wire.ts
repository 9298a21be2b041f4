/**
 * The messages of namespace /live as the page uses them, after validation; docs/PROTOCOL.md has them as they
 * are sent. Times are Unix milliseconds, whole numbers, by the server's clock. NaN stands for the wire's `null`.
 */

/** The protocol number that this page speaks. */
export const PROTOCOL = 1;

/** A series' name (as `__name__`) and labels. */
export type Labels = Readonly<Record<string, string>>;

/** What an id stands for. `interval` is the usual distance of the series' samples in ms, 0 while unknown. */
export interface Descriptor {
  readonly id: number;
  readonly labels: Labels;
  readonly interval: number;
}

/** Samples of series that share times: `ys[i][j]` is the value of series `ids[i]` at `x[j]`. `x` ascends strictly. */
export interface RawBlock {
  readonly kind: 'raw';
  readonly ids: readonly number[];
  readonly x: Float64Array;
  readonly ys: readonly Float64Array[];
}

/**
 * Columns of series: column j is [x0 + j*step, x0 + (j+1)*step), `x0` a multiple of `step`, and
 * `ys[i][4*j .. 4*j+3]` are the first, lowest, highest and last value in it of series `ids[i]`; NaN when empty.
 */
export interface ColumnBlock {
  readonly kind: 'columns';
  readonly ids: readonly number[];
  readonly x0: number;
  readonly step: number;
  readonly ys: readonly Float64Array[];
}

export type Block = RawBlock | ColumnBlock;

export interface Hello {
  readonly protocol: number;
  readonly build: string;
  readonly now: number;
  /** The default window in seconds. */
  readonly window: number;
}

export type BootstrapReason = 'join' | 'resume' | 'slow' | 'lost';

export interface Bootstrap {
  readonly room: string;
  /** null: this replaces what the page has. A position: this comes after it. */
  readonly from: string | null;
  /** Only on the last part. */
  readonly position: string | null;
  readonly now: number;
  /** null on every part but the first: that is how parts are told from a bootstrap that begins anew. */
  readonly series: readonly Descriptor[] | null;
  readonly blocks: readonly Block[];
  readonly more: boolean;
  readonly reason: BootstrapReason;
}

export interface Update {
  readonly room: string;
  readonly position: string;
  readonly now: number;
  readonly blocks: readonly Block[];
  readonly series: readonly Descriptor[];
  readonly gone: readonly number[];
  /** How many series match, when that changed. */
  readonly matched: number | null;
}

export type RoomState = 'live' | 'stale' | 'not_stored';

export interface Status {
  readonly room: string;
  readonly state: RoomState;
  readonly since: number;
}

/** Samples between the two times, both excluded, may be missing. */
export interface Gap {
  readonly room: string;
  readonly ids: readonly number[];
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface Bye {
  /** Come back after about this many milliseconds. */
  readonly retry: number;
}

export interface Refusal {
  readonly ok: false;
  readonly code: string;
  /** A sentence of the server's that says what to do. */
  readonly message: string;
}

export type SubscribeAck =
  | { readonly ok: true; readonly room: string; readonly matched: number; readonly sent: number }
  | Refusal;

/** Series that came and went. */
export interface CatalogueChange {
  readonly added: readonly Labels[];
  readonly gone: readonly Labels[];
}

/** `truncated`: there are more series than these. */
export type CatalogueAck =
  | { readonly ok: true; readonly series: readonly Labels[]; readonly truncated: boolean }
  | Refusal;

/** Samples between two times, both included, with ids of their own. */
export interface History {
  readonly from: number;
  readonly to: number;
  readonly now: number;
  readonly matched: number;
  readonly series: readonly Descriptor[];
  readonly blocks: readonly Block[];
  readonly gaps: readonly Omit<Gap, 'room'>[];
}

export type HistoryAck = ({ readonly ok: true } & History) | Refusal;

/** What a page asks for of the past; times in Unix ms. */
export interface HistoryRequest {
  readonly query: string;
  readonly from: number;
  readonly to: number;
  readonly points: number;
}

/** What a page asks for: `window` in seconds, `points` at most per series, `since` the last position it saw. */
export interface SubscribeRequest {
  readonly query: string;
  readonly window: number;
  readonly points: number;
  readonly since?: string;
}
