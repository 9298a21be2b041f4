import { write } from './write.js';

/**
 * Three lines of one chart, ten minutes long: values 0 to 59 of `low` again and again, 100.. of `mid` and 1000.. of `high`.
 *
 * @param {string} url
 */
export async function threeLines(url) {
  const end = Math.floor(Date.now() / 1000) * 1000;
  for (const [line, base] of /** @type {const} */ ([
    ['mid', 100],
    ['low', 0],
    ['high', 1000],
  ])) {
    const samples = Array.from(
      { length: 600 },
      (_, i) => /** @type {[number, number]} */ ([end - 1000 * (600 - i), base + (i % 60)]),
    );
    await write(url, line, 1, { __name__: 'three', line }, samples);
  }
  return end;
}
