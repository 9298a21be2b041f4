/**
 * How a page gets in where the server asks for a token (docs/SECURITY.md): the server's own page /signin turns a
 * token into a cookie that no script can read. Nothing of a token is kept here.
 */

/** Refusals of a namespace that signing in helps against. */
const REFUSALS = new Set(['token_required', 'token_invalid']);

/** The parts of the browser that signing in needs. */
export interface Browser {
  readonly location: Pick<Location, 'hash' | 'pathname' | 'search' | 'assign'>;
  readonly history: Pick<History, 'state' | 'replaceState'>;
  readonly baseURI: string;
  fetch(url: string, init: RequestInit): Promise<unknown>;
}

const browser = (): Browser => ({
  location,
  history,
  baseURI: document.baseURI,
  fetch: (url, init) => fetch(url, init),
});

/**
 * Takes the token out of a link such as http://server/#token=sc_...: it leaves the address bar at once, so that it
 * is in no history, screenshot or copied link, and becomes a cookie. What follows a `#` is never sent to a server.
 */
export async function signInByLink({ location, history, baseURI, fetch } = browser()): Promise<void> {
  const parts = location.hash.slice(1).split('&');
  const token = parts.find(part => part.startsWith('token='))?.slice('token='.length);
  if (token === undefined) return;
  const rest = parts.filter(part => !part.startsWith('token=')).join('&');
  history.replaceState(history.state, '', location.pathname + location.search + (rest && `#${rest}`));
  const body = new URLSearchParams({ token });
  // Whatever comes of it, the server says at the connection what is still missing.
  await fetch(new URL('signin', baseURI).href, { method: 'POST', body }).catch(() => undefined);
}

/** Opens the page to sign in, if that is why the server has refused the connection. */
export function signInIfAsked(error: Error, { location, baseURI } = browser()): void {
  const { data } = error as Error & { data?: { code?: unknown } };
  if (!REFUSALS.has(String(data?.code))) return;
  const page = new URL('signin', baseURI);
  page.searchParams.set('next', location.pathname + location.search);
  location.assign(page.href);
}
