import { setTimeout as sleep } from 'node:timers/promises';

/**
 * How long a test waits for something that takes moments on a machine at rest, ms: it ends a wait that would last
 * for ever, and says nothing of how fast anything is.
 */
export const PATIENCE = 60_000;

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
export async function until(what, look, within = PATIENCE) {
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
