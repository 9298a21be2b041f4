import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Most that opening the page may cost, and most with what it fetches once it is live, gzipped bytes. */
const BUDGET = 90_000;
const BUDGET_LIVE = 96_000;

const root = join(import.meta.dirname, '..');
let outDir = '';
let files: string[] = [];

/** A file as the server sends it without compression. */
const content = (name: string) =>
  readFile(join(outDir, name)).catch(async () => gunzipSync(await readFile(join(outDir, `${name}.gz`))));

const text = async (name: string) => (await content(name)).toString('utf8');

beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'stripchart-page-'));
  await writeFile(join(outDir, 'placeholder.txt'), 'kept');
  await writeFile(join(outDir, 'old.js'), 'of an earlier build');
  // As `npm run build` does: the runner of tests says `test`, and every element would carry where it was written.
  process.env.NODE_ENV = 'production';
  await build({ root, logLevel: 'error', build: { outDir } });
  files = (await readdir(outDir, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(outDir.length + 1));
  // Large files are there compressed only.
  files = [...new Set([...files, ...files.map(name => name.replace(/\.gz$/, ''))])];
}, 120_000);

afterAll(() => rm(outDir, { recursive: true, force: true }));

/** The files that an HTML file names, and those that they name in turn; `later`: with those that are imported later. */
async function loadedBy(html: string, later = true): Promise<string[]> {
  const names = files.filter(name => name.startsWith('assets/') && /\.(js|css|svg)$/.test(name));
  const loaded = new Set([html]);
  for (const from of loaded) {
    const named = await text(from);
    const source = later ? named : named.replace(/\bimport\([^)]*\)/g, '');
    for (const name of names) if (source.includes(name.slice('assets/'.length))) loaded.add(name);
  }
  return [...loaded];
}

test('the page’s download stays within its budget', async () => {
  const cost = async (names: readonly string[]): Promise<number> => {
    const sizes = await Promise.all(
      names.map(async name => (await readFile(join(outDir, `${name}.gz`))).length),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  const opening = await loadedBy('index.html', false);
  const live = await loadedBy('index.html');
  expect(opening.filter(name => name.endsWith('.js')).length).toBeGreaterThan(1);
  expect(live.length, 'what is seldom needed is a file of its own').toBe(opening.length + 1);
  expect(await cost(opening)).toBeLessThanOrEqual(BUDGET);
  expect(await cost(live)).toBeLessThanOrEqual(BUDGET_LIVE);
});

test('what browsers and crawlers ask for by themselves is there', async () => {
  expect(files).toContain('favicon.ico');
  expect(await text('robots.txt')).toMatch(/^User-agent: \*$/m);
});

test('Plotly is loaded on its own page only', async () => {
  const isPlotly = async (name: string) => (await text(name)).includes('plotly.js');
  const onPage = await Promise.all((await loadedBy('index.html')).map(isPlotly));
  const onPlotly = await Promise.all((await loadedBy('plotly.html')).map(isPlotly));
  expect([onPage.includes(true), onPlotly.includes(true)]).toEqual([false, true]);
});

test('a build clears the one before it, but keeps the placeholder as it is', async () => {
  expect(files).not.toContain('old.js');
  expect(await text('placeholder.txt')).toBe('kept');
});

test('beside every text file stand its compressed forms, with the same content', async () => {
  const plain = files.filter(name => !/\.(br|gz|ico)$/.test(name) && name !== 'placeholder.txt');
  expect(plain.length).toBeGreaterThan(5);
  for (const name of plain) {
    const plain = await content(name);
    expect(gunzipSync(await readFile(join(outDir, `${name}.gz`))).equals(plain)).toBe(true);
    expect(brotliDecompressSync(await readFile(join(outDir, `${name}.br`))).equals(plain)).toBe(true);
  }
});

describe.each(['index.html', 'plotly.html'])('%s', name => {
  test('has nothing inline, which the Content-Security-Policy would refuse', async () => {
    const html = await text(name);
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
    for (const [tag] of html.matchAll(/<script[^>]*>/g)) expect(tag).toMatch(/\ssrc="/);
  });

  test('names files relative to itself, so that it can be served below a path', async () => {
    const urls = [...(await text(name)).matchAll(/\s(?:src|href)="([^"]*)"/g)].map(match => match[1]);
    expect(urls.length).toBeGreaterThan(2);
    for (const url of urls) expect(url).toMatch(/^\.\/assets\/.+-[\w-]{8}\.(js|css|svg)$/);
  });
});

test('the page of Plotly links Plotly’s rules and leaves its window to the server', async () => {
  const html = await text('plotly.html');
  expect(html).toMatch(/<meta name="x_window" content="__X_WINDOW__"/);
  const link =
    /<link id="plotly\.js-style-global" class="no-inline-styles" rel="stylesheet" href="\.\/([^"]+)"/.exec(
      html,
    );
  expect(await text(link![1]!)).toContain('.js-plotly-plot .plotly .main-svg{');
});
