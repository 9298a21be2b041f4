import { parseSpan, spanText } from './span.ts';

/**
 * The state of the page that its link carries: `?v=1&window=15m&host=web1&chart=load1`. Keys that this version
 * does not know are kept, so that a link survives a page that is older than it.
 */
export interface Address {
  /** Seconds; null where the link leaves it to the server. */
  readonly window: number | null;
  /** The chosen host; null for all. */
  readonly host: string | null;
  /** Queries of the charts to show; empty for the page's own. */
  readonly charts: readonly string[];
  /** Only where a link sets it on purpose; else it is the reader's own preference. */
  readonly theme: 'light' | 'dark' | null;
}

/** The version of this spelling. */
const VERSION = '1';

/** Charts that one link may ask for: each is a room, and the server bounds those. */
const MAX_CHARTS = 24;

/** Reads a link's query string. What cannot be understood counts as not given. */
export function readAddress(search: string): Address {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  return {
    window: parseSpan(params.get('window') ?? ''),
    host: params.get('host') || null,
    charts: params
      .getAll('chart')
      .filter(query => query !== '')
      .slice(0, MAX_CHARTS),
    theme: theme === 'light' || theme === 'dark' ? theme : null,
  };
}

/** Returns `search` with the given choices written in and everything else as it was. */
export function writeAddress(search: string, choices: Pick<Address, 'window' | 'host'>): string {
  const params = new URLSearchParams(search);
  params.set('v', VERSION);
  set(params, 'window', choices.window === null ? null : spanText(choices.window));
  set(params, 'host', choices.host);
  return `?${params}`;
}

function set(params: URLSearchParams, key: string, value: string | null): void {
  if (value === null) params.delete(key);
  else params.set(key, value);
}
