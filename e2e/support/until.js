import { setTimeout as sleep } from 'node:timers/promises';

/** How often a condition is looked at, ms. */
const LOOK_EVERY = 50;

/**
 * Waits until `look` returns something true and returns that. Fails after `within` ms with `what`, which says
 * what was waited for, and with the last answer.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} look
 * @param {number} [within]
 * @returns {Promise<Exclude<T, false | null | undefined>>}
 */
export async function until(what, look, within = 10_000) {
  const deadline = performance.now() + within;
  for (;;) {
    const answer = await look();
    if (answer) return /** @type {Exclude<T, false | null | undefined>} */ (answer);
    if (performance.now() > deadline) {
      throw new Error(`waited ${within} ms for: ${what} (last answer: ${JSON.stringify(answer)})`);
    }
    await sleep(LOOK_EVERY);
  }
}
