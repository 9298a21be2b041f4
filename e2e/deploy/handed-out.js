import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/paths.js';

/** What `make dist-host` has made for this machine. */
export const DIST = join(ROOT, '.cache', 'dist');

/**
 * The path of the only file with a suffix.
 *
 * @param {string} suffix such as .deb
 */
export async function handedOut(suffix) {
  const manifest = await readFile(join(DIST, 'manifest.json'), 'utf8').catch(() => {
    throw new Error(`${DIST} is missing; run \`make dist-host\``);
  });
  const files = JSON.parse(manifest).files.map((/** @type {{ name: string }} */ { name }) => name);
  const found = files.filter((/** @type {string} */ name) => name.endsWith(suffix));
  if (found.length !== 1) throw new Error(`one ${suffix} is wanted of ${files}`);
  return join(DIST, found[0]);
}
