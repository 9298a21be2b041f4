import { write } from './write.js';

/**
 * Three lines of one chart, a minute long: values 0.. of `low`, 100.. of `mid` and 1000.. of `high`.
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
      { length: 60 },
      (_, i) => /** @type {[number, number]} */ ([end - 1000 * (60 - i), base + i]),
    );
    await write(url, line, 1, { __name__: 'three', line }, samples);
  }
  return end;
}
