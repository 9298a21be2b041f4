import { expect, test } from 'vitest';
import { type Browser, signInByLink, signInIfAsked } from './signin.ts';

/** A browser at an address, and what happens to it. */
function at(address: string) {
  const { hash, pathname, search, origin } = new URL(address);
  const seen: string[] = [];
  const browser: Browser = {
    location: { hash, pathname, search, assign: url => seen.push(`go to ${url}`) },
    history: { state: 7, replaceState: (state, _, url) => seen.push(`${state} shows ${url}`) },
    baseURI: `${origin}/sub/`,
    fetch: async (url, init) => seen.push(`${init.method} ${url} ${init.body}`),
  };
  return { browser, seen };
}

test('the token of a link leaves the address bar before it is sent, and is sent once', async () => {
  const { browser, seen } = at('http://server/sub/?v=1&q=a#token=sc_a-b_');
  await signInByLink(browser);
  expect(seen).toEqual(['7 shows /sub/?v=1&q=a', 'POST http://server/sub/signin token=sc_a-b_']);
});

test('what else follows the # stays', async () => {
  const { browser, seen } = at('http://server/sub/#chart&token=sc_x&more=1');
  await signInByLink(browser);
  expect(seen[0]).toBe('7 shows /sub/#chart&more=1');
});

test('a link without a token is left alone', async () => {
  for (const hash of ['', '#', '#tokens=1', '#chart']) {
    const { browser, seen } = at(`http://server/sub/${hash}`);
    await signInByLink(browser);
    expect(seen).toEqual([]);
  }
});

test('a page is opened also where the sign-in cannot be sent', async () => {
  const { browser } = at('http://server/sub/#token=sc_x');
  await signInByLink({ ...browser, fetch: () => Promise.reject(new Error('no connection')) });
});

test('a page that is refused for want of a token signs in, and comes back to its charts', () => {
  for (const code of ['token_required', 'token_invalid']) {
    const { browser, seen } = at('http://server/sub/?v=1&q=a%20b');
    signInIfAsked(Object.assign(new Error('no'), { data: { code } }), browser);
    expect(seen).toEqual(['go to http://server/sub/signin?next=%2Fsub%2F%3Fv%3D1%26q%3Da%2520b']);
  }
});

test('other refusals lead nowhere', () => {
  const { browser, seen } = at('http://server/sub/');
  for (const data of [undefined, {}, { code: 'scope_missing' }, { code: 1 }]) {
    signInIfAsked(Object.assign(new Error('no'), { data }), browser);
  }
  expect(seen).toEqual([]);
});
