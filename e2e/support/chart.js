import { createHash } from 'node:crypto';

/** The large chart of the page. */
export const LARGE = '.hero canvas';

/**
 * Tells one picture of the large chart from another.
 *
 * @param {import('playwright-core').Page} page
 */
export async function fingerprint(page) {
  const pixels = await page.evaluate(selector => {
    const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector(selector));
    return canvas.toDataURL();
  }, LARGE);
  return createHash('sha256').update(pixels).digest('hex');
}

/**
 * The stretches of the large chart's canvas that are painted over from top to bottom, as the hatch of a time
 * without samples is: [left, right) in pixels of the canvas. Neither line, grid nor the wash below a line
 * covers a column of pixels opaquely, or does so for one pixel only.
 *
 * @param {import('playwright-core').Page} page
 */
export function hatchedStretches(page) {
  return page.evaluate(selector => {
    const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector(selector));
    // A copy is read: Chromium warns of a canvas that is drawn to and read again and again.
    const copy = document.createElement('canvas');
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = /** @type {CanvasRenderingContext2D} */ (copy.getContext('2d'));
    context.drawImage(canvas, 0, 0);
    const top = Math.round(canvas.height / 4);
    const height = Math.round(canvas.height / 2);
    const { data } = context.getImageData(0, top, canvas.width, height);
    const isPainted = (/** @type {number} */ x) => {
      let opaque = 0;
      for (let y = 0; y < height; y++) if (data[4 * (y * canvas.width + x) + 3] === 255) opaque++;
      return opaque > 0.98 * height;
    };
    /** @type {[number, number][]} */
    const stretches = [];
    for (let x = 0; x < canvas.width; x++) {
      if (!isPainted(x)) continue;
      const last = stretches.at(-1);
      if (last && last[1] === x) last[1] = x + 1;
      else stretches.push([x, x + 1]);
    }
    return stretches.filter(([left, right]) => right - left > 4);
  }, LARGE);
}
