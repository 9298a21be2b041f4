// What the page costs the browser's main thread, beside a bare uPlot page with the same numbers, in one run:
// 12 charts of 4 lines with 600 points, a sample a second.
//
//   npm run bench          takes about a minute and a half; SECONDS=60 measures for longer

import { mkdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from './support/chromium.js';
import { OUT, ROOT } from './support/paths.js';
import { Program } from './support/program.js';
import { until } from './support/until.js';

const CHARTS = 12;
const LINES = 4;
const POINTS = 600;
const SECONDS = Number(process.env.SECONDS ?? 30);

/** The page that does nothing but draw: uPlot with its own axes and scales. */
const BARE = `<!doctype html><link rel=stylesheet href=/u.css><body><script src=/u.js></script><script>
const colours = ['#0063a0', '#b87400', '#1f2933', '#b0578a'];
document.body.style.cssText = 'display:grid;grid-template-columns:repeat(3,1fr);gap:12px;margin:18px';
const now = () => Math.floor(Date.now() / 1000);
const value = (t, chart, line) => 50 + 30 * Math.sin(t / (20 + 3 * chart)) + 5 * line + Math.random();
const charts = Array.from({ length: ${CHARTS} }, (_, chart) => {
  const x = Array.from({ length: ${POINTS} }, (_, i) => now() - ${POINTS} + i);
  const data = [x, ...colours.map((_, line) => x.map(t => value(t, chart, line)))];
  const series = [{}, ...colours.map(stroke => ({ stroke, points: { show: false } }))];
  const plot = new uPlot({ width: 400, height: 190, series, legend: { show: false } }, data, document.body);
  return { plot, data };
});
setInterval(() => charts.forEach(({ plot, data }, chart) => {
  const t = now();
  data.forEach((values, i) => { values.shift(); values.push(i === 0 ? t : value(t, chart, i - 1)); });
  plot.setData(data);
}), 1000);
</script>`;

const folder = join(OUT, 'bench');
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const uplot = join(ROOT, 'web', 'node_modules', 'uplot', 'dist');
const files = new Map([
  ['/', { type: 'text/html', body: BARE }],
  ['/u.js', { type: 'text/javascript', body: await readFile(join(uplot, 'uPlot.iife.min.js')) }],
  ['/u.css', { type: 'text/css', body: await readFile(join(uplot, 'uPlot.min.css')) }],
]);
const bare = createServer((request, response) => {
  const file = files.get(request.url ?? '');
  if (file) response.setHeader('content-type', file.type).end(file.body);
  else response.writeHead(404).end();
});
await new Promise(resolve => bare.listen(0, '127.0.0.1', () => resolve(null)));
const { port } = /** @type {import('node:net').AddressInfo} */ (bare.address());

const program = await Program.create(folder, ['--interval', '1h']);
await program.start();
/** Writes the samples of some times to every line of every chart, in one batch as a collector does. */
const tell = async (/** @type {readonly number[]} */ times) => {
  const lines = times.flatMap(t =>
    Array.from({ length: CHARTS * LINES }, (_, i) => {
      const [chart, line] = [Math.floor(i / LINES), i % LINES];
      const value = 50 + 30 * Math.sin(t / (20_000 + 3_000 * chart)) + 5 * line + Math.random();
      return `bench${chart},line=${line} value=${value} ${t}`;
    }),
  );
  const answer = await fetch(`${program.url}/write?precision=ms`, { method: 'POST', body: lines.join('\n') });
  if (!answer.ok) throw new Error(await answer.text());
};
const start = Math.floor(Date.now() / 1000) * 1000;
await tell(Array.from({ length: POINTS }, (_, i) => start - 1000 * (POINTS - i)));
let told = start;
const timer = setInterval(() => {
  told += 1000;
  void tell([told]);
}, 1000);

const browser = await launch();
try {
  const charts = Array.from({ length: CHARTS }, (_, i) => `chart=bench${i}`).join('&');
  /** @type {[string, number, number][]} */
  const figures = [];
  for (const [name, url] of /** @type {const} */ ([
    ['the page', `${program.url}/?window=10m&${charts}`],
    ['bare uPlot', `http://127.0.0.1:${port}/`],
  ])) {
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    await page.goto(url);
    await until('twelve charts', async () => (await page.locator('canvas').count()) >= CHARTS);
    // What is drawn off screen would cost nothing in one of the two.
    await sleep(5_000);
    const cdp = await page.context().newCDPSession(page);
    // CPU time: on a busy machine tasks take longer than they cost.
    await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
    const read = async () => {
      const { metrics } = await cdp.send('Performance.getMetrics');
      const of = (/** @type {string} */ key) => metrics.find(({ name }) => name === key)?.value ?? Number.NaN;
      return { task: of('TaskDuration'), heap: of('JSHeapUsedSize') };
    };
    const before = await read();
    const began = performance.now();
    await sleep(1000 * SECONDS);
    const after = await read();
    figures.push([
      name,
      (100_000 * (after.task - before.task)) / (performance.now() - began),
      after.heap / 1e6,
    ]);
    await page.screenshot({ path: join(folder, `${name.replace(/\W/g, '-')}.png`) });
    await page.close();
  }
  console.log(`${CHARTS} charts, ${LINES} lines, ${POINTS} points, one sample a second, ${SECONDS} s each:`);
  for (const [name, share, heap] of figures)
    console.log(`${name.padEnd(12)} ${share.toFixed(2)} % of the main thread, heap ${heap.toFixed(1)} MB`);
} finally {
  clearInterval(timer);
  await browser.close();
  await program.close();
  bare.close();
}
