import * as texts from '../texts.ts';
import { type Card, type Layout, readCards, writeCards } from './cards.ts';
import { parseSpan, spanText } from './span.ts';

/**
 * The state of the page that its link carries: `?v=1&window=15m&host=web1&chart=load1`. Keys that this version
 * does not know are kept, so that a link survives a page that is older than it.
 */
export interface Address {
  /** Seconds; null where the link leaves it to the server. */
  readonly window: number | null;
  /** The stretch of time that stands still, Unix ms; null for a page that is live. */
  readonly fixed: { readonly from: number; readonly to: number } | null;
  /** The chosen host; null for all. */
  readonly host: string | null;
  /** The charts to show; null for the page's own. */
  readonly layout: Layout | null;
  /** Seconds for which a wall shows charts before it turns to the next ones; null for a page that is no wall. */
  readonly wall: number | null;
  /** Only where a link sets it on purpose; else it is the reader's own preference. */
  readonly theme: 'light' | 'dark' | null;
  /** What of the link could not be followed, for its reader: sentences. */
  readonly faults: readonly string[];
}

/** For how long a wall shows charts unless its link says otherwise, seconds. */
export const WALL_TURNS = 20;

/** The version of this spelling. */
const VERSION = '1';

/** Reads a link's query string. What cannot be understood counts as not given, and is told. */
export function readAddress(search: string): Address {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  const span = params.get('window') ?? '';
  const window = parseSpan(span);
  const layout = readCards(params);
  const fixed = readStretch(params);
  const faults: string[] = [];
  if (span !== '' && window === null) faults.push(texts.noWindow(span));
  if (!fixed && (params.has('from') || params.has('to'))) faults.push(texts.NO_STRETCH);
  if (layout && layout.left > 0) {
    const all = layout.cards.length + layout.left;
    faults.push(texts.tooManyCharts(layout.cards.length, all));
  }
  return {
    window,
    fixed,
    host: params.get('host') || null,
    wall: params.has('wall') ? (parseSpan(params.get('wall')!) ?? WALL_TURNS) : null,
    layout: layout && { cards: layout.cards, hidden: layout.hidden },
    theme: theme === 'light' || theme === 'dark' ? theme : null,
    faults,
  };
}

/** What a link carries of the page's choices. */
export interface Choices {
  readonly window: number | null;
  readonly fixed: Address['fixed'];
  readonly host: string | null;
  readonly wall: number | null;
  readonly layout: Layout;
}

/** Returns `search` with the given choices written in and everything else as it was. `standard` needs no words. */
export function writeAddress(search: string, choices: Choices, standard: readonly Card[]): string {
  const params = new URLSearchParams(search);
  params.set('v', VERSION);
  set(params, 'window', choices.window === null ? null : spanText(choices.window));
  set(params, 'from', choices.fixed && `${choices.fixed.from}`);
  set(params, 'to', choices.fixed && `${choices.fixed.to}`);
  set(params, 'host', choices.host);
  if (choices.wall === null) params.delete('wall');
  else if (!params.has('wall')) params.set('wall', '');
  writeCards(params, choices.layout, standard);
  return `?${params}`;
}

function readStretch(params: URLSearchParams): Address['fixed'] {
  const [from, to] = ['from', 'to'].map(key => {
    const text = params.get(key) ?? '';
    return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  }) as [number, number];
  return from < to ? { from, to } : null;
}

function set(params: URLSearchParams, key: string, value: string | null): void {
  if (value === null) params.delete(key);
  else params.set(key, value);
}
