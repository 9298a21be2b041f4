import type {
  Block,
  Bootstrap,
  BootstrapReason,
  Bye,
  CatalogueAck,
  CatalogueChange,
  Descriptor,
  Gap,
  Hello,
  HistoryAck,
  Labels,
  Refusal,
  RoomState,
  Status,
  SubscribeAck,
  Update,
} from './wire.ts';

/**
 * Validation of everything that the server says. A message is taken whole or refused whole, so that the model
 * never holds half of one; fields that this page does not know are ignored, as the protocol demands.
 */

/** A message that breaks the protocol. Its text names the field and what was expected there. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** Upper bound of `retry_ms` that is believed: no planned stop keeps a page waiting longer. */
const MAX_RETRY = 60_000;

export function decodeHello(message: unknown): Hello {
  const m = object(message, 'hello');
  return {
    protocol: integer(m.protocol, 'hello.protocol'),
    build: text(m.build, 'hello.build'),
    now: time(m.now, 'hello.now'),
    window: positive(m.window, 'hello.window'),
  };
}

export function decodeBootstrap(message: unknown): Bootstrap {
  const m = object(message, 'bootstrap');
  const more = m.more === undefined ? false : boolean(m.more, 'bootstrap.more');
  return {
    room: text(m.room, 'bootstrap.room'),
    from: m.from === null ? null : text(m.from, 'bootstrap.from'),
    position: more && m.position === undefined ? null : text(m.position, 'bootstrap.position'),
    now: time(m.now, 'bootstrap.now'),
    series: m.series === undefined ? null : list(m.series, 'bootstrap.series', descriptor),
    blocks: list(m.blocks, 'bootstrap.blocks', block),
    more,
    reason: oneOf<BootstrapReason>(m.reason, 'bootstrap.reason', ['join', 'resume', 'slow', 'lost']),
  };
}

export function decodeUpdate(message: unknown): Update {
  const m = object(message, 'update');
  return {
    room: text(m.room, 'update.room'),
    position: text(m.position, 'update.position'),
    now: time(m.now, 'update.now'),
    blocks: list(m.blocks, 'update.blocks', block),
    series: optionalList(m.series, 'update.series', descriptor),
    gone: optionalList(m.gone, 'update.gone', integer),
    matched: m.matched === undefined ? null : integer(m.matched, 'update.matched'),
  };
}

export function decodeStatus(message: unknown): Status {
  const m = object(message, 'status');
  return {
    room: text(m.room, 'status.room'),
    state: oneOf<RoomState>(m.state, 'status.state', ['live', 'stale', 'not_stored']),
    since: time(m.since, 'status.since'),
  };
}

export function decodeGap(message: unknown): Gap {
  const m = object(message, 'gap');
  return { room: text(m.room, 'gap.room'), ...gapOf(m, 'gap') };
}

function gapOf(value: unknown, path: string): Omit<Gap, 'room'> {
  const m = object(value, path);
  const from = time(m.from, `${path}.from`);
  const to = time(m.to, `${path}.to`);
  if (to < from) throw new WireError(`${path}.to: lies before ${path}.from`);
  return { ids: list(m.ids, `${path}.ids`, integer), from, to, reason: text(m.reason, `${path}.reason`) };
}

export function decodeBye(message: unknown): Bye {
  const m = object(message, 'bye');
  return { retry: Math.min(Math.max(number(m.retry_ms, 'bye.retry_ms'), 0), MAX_RETRY) };
}

export function decodeSubscribeAck(message: unknown): SubscribeAck {
  const m = object(message, 'ack');
  if (boolean(m.ok, 'ack.ok')) {
    return {
      ok: true,
      room: text(m.room, 'ack.room'),
      matched: integer(m.matched, 'ack.matched'),
      sent: integer(m.sent, 'ack.sent'),
    };
  }
  return refusal(m);
}

export function decodeCatalogueAck(message: unknown): CatalogueAck {
  const m = object(message, 'ack');
  if (!boolean(m.ok, 'ack.ok')) return refusal(m);
  const truncated = m.truncated === undefined ? false : boolean(m.truncated, 'ack.truncated');
  return { ok: true, series: list(m.series, 'ack.series', labels), truncated };
}

export function decodeHistoryAck(message: unknown): HistoryAck {
  const m = object(message, 'ack');
  if (!boolean(m.ok, 'ack.ok')) return refusal(m);
  return {
    ok: true,
    from: time(m.from, 'ack.from'),
    to: time(m.to, 'ack.to'),
    now: time(m.now, 'ack.now'),
    matched: integer(m.matched, 'ack.matched'),
    series: list(m.series, 'ack.series', descriptor),
    blocks: list(m.blocks, 'ack.blocks', block),
    gaps: optionalList(m.gaps, 'ack.gaps', gapOf),
  };
}

export function decodeCatalogueChange(message: unknown): CatalogueChange {
  const m = object(message, 'catalogue');
  return {
    added: optionalList(m.added, 'catalogue.added', labels),
    gone: optionalList(m.gone, 'catalogue.gone', labels),
  };
}

function refusal(ack: Record<string, unknown>): Refusal {
  const error = object(ack.error, 'ack.error');
  return {
    ok: false,
    code: text(error.code, 'ack.error.code'),
    message: text(error.message, 'ack.error.message'),
  };
}

function descriptor(value: unknown, path: string): Descriptor {
  const m = object(value, path);
  const interval = number(m.interval_ms, `${path}.interval_ms`);
  if (interval < 0) throw new WireError(`${path}.interval_ms: is negative`);
  return { id: integer(m.id, `${path}.id`), labels: labels(m.labels, `${path}.labels`), interval };
}

function labels(value: unknown, path: string): Labels {
  const m = object(value, path);
  for (const name of Object.keys(m)) text(m[name], `${path}.${name}`);
  return m as Labels;
}

function block(value: unknown, path: string): Block {
  const m = object(value, path);
  const ids = list(m.ids, `${path}.ids`, integer);
  const rows = list(m.y, `${path}.y`, values);
  if (rows.length !== ids.length) {
    throw new WireError(`${path}.y: has ${rows.length} rows for ${ids.length} ids`);
  }
  if (m.x !== undefined) {
    const x = times(m.x, `${path}.x`);
    for (const row of rows) {
      if (row.length !== x.length)
        throw new WireError(`${path}.y: a row has ${row.length} values for ${x.length} times`);
    }
    return { kind: 'raw', ids, x, ys: rows };
  }
  const x0 = time(m.x0, `${path}.x0`);
  const step = positive(m.step, `${path}.step`);
  if (x0 % step !== 0) throw new WireError(`${path}.x0: is not a multiple of the step`);
  for (const row of rows) {
    if (row.length % 4 !== 0)
      throw new WireError(`${path}.y: a row has ${row.length} values, not four a column`);
    if (row.length !== rows[0]!.length) throw new WireError(`${path}.y: rows differ in length`);
  }
  return { kind: 'columns', ids, x0, step, ys: rows };
}

function values(value: unknown, path: string): Float64Array {
  if (!Array.isArray(value)) throw new WireError(`${path}: is not a list`);
  const out = new Float64Array(value.length);
  for (let i = 0; i < out.length; i++) {
    const v: unknown = value[i];
    if (v !== null && typeof v !== 'number')
      throw new WireError(`${path}[${i}]: is neither a number nor null`);
    out[i] = v === null ? Number.NaN : v;
  }
  return out;
}

function times(value: unknown, path: string): Float64Array {
  if (!Array.isArray(value)) throw new WireError(`${path}: is not a list`);
  const out = new Float64Array(value.length);
  for (let i = 0; i < out.length; i++) {
    const t: unknown = value[i];
    if (!Number.isSafeInteger(t)) throw new WireError(`${path}[${i}]: is not a time`);
    out[i] = t as number;
    if (i > 0 && out[i]! <= out[i - 1]!) throw new WireError(`${path}[${i}]: does not ascend`);
  }
  return out;
}

function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WireError(`${path}: is not an object`);
  return value as Record<string, unknown>;
}

function list<T>(value: unknown, path: string, item: (value: unknown, path: string) => T): T[] {
  if (!Array.isArray(value)) throw new WireError(`${path}: is not a list`);
  return value.map((v, i) => item(v, `${path}[${i}]`));
}

function optionalList<T>(value: unknown, path: string, item: (value: unknown, path: string) => T): T[] {
  return value === undefined ? [] : list(value, path, item);
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw new WireError(`${path}: is not a string`);
  return value;
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw new WireError(`${path}: is neither true nor false`);
  return value;
}

function number(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new WireError(`${path}: is not a number`);
  return value;
}

function positive(value: unknown, path: string): number {
  const n = number(value, path);
  if (n <= 0) throw new WireError(`${path}: is not above 0`);
  return n;
}

/** A count or an id: a whole number from 0. */
function integer(value: unknown, path: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new WireError(`${path}: is not a whole number`);
  return value as number;
}

function time(value: unknown, path: string): number {
  if (!Number.isSafeInteger(value)) throw new WireError(`${path}: is not a time`);
  return value as number;
}

function oneOf<T extends string>(value: unknown, path: string, choices: readonly T[]): T {
  if (!choices.includes(value as T)) throw new WireError(`${path}: is none of ${choices.join(', ')}`);
  return value as T;
}
