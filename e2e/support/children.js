import { spawn } from 'node:child_process';

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set();

// Nothing outlives the tests, however they end: the runner stops a file that hangs with SIGTERM, and then
// no test's own cleaning up runs.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));

/**
 * Starts a process that ends with this one at the latest. Only its standard error is read.
 *
 * @param {string} command
 * @param {readonly string[]} args
 */
export function startChild(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  alive.add(child);
  /** @type {Promise<Exit>} */
  const exited = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      alive.delete(child);
      resolve({ code, signal });
    });
  });
  return { child, exited };
}

/**
 * How a process ended: with a code, or by a signal.
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Exit
 */
