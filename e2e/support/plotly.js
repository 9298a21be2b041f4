/**
 * What Plotly shows on /plotly: its only trace, and the ends of the time axis in ms, both in the server's zone.
 *
 * @param {import('playwright-core').Page} page
 */
export function figure(page) {
  return page.evaluate(() => {
    const chart = /** @type {any} */ (document.getElementById('chart'));
    const trace = chart?.data?.[0];
    const range = chart?._fullLayout?.xaxis?.range ?? [];
    return {
      x: /** @type {string[]} */ ([...(trace?.x ?? [])]),
      y: /** @type {(number | null)[]} */ ([...(trace?.y ?? [])]),
      range: range.map((/** @type {string | number} */ end) => +new Date(end)),
      times: /** @type {number[]} */ ([...(trace?.x ?? [])].map(time => +new Date(time))),
    };
  });
}
