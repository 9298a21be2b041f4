import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

/** One round of work and rest, ms: short, so that each measurement sees many. */
const ROUND = 20;

/** Keeps every core busy for a share of the time, and the disk a little. */
export class Load {
  #share = new Float64Array(new SharedArrayBuffer(8));
  #file;
  #workers;

  /** @param {string} folder for the file that is written */
  constructor(folder) {
    this.#file = join(folder, 'load');
    const options = (/** @type {number} */ i) => ({
      workerData: { share: this.#share, file: i === 0 ? this.#file : null },
    });
    this.#workers = Array.from(
      { length: availableParallelism() },
      (_, i) => new Worker(new URL(import.meta.url), options(i)),
    );
  }

  /** @param {number} share 0 to 1 */
  set(share) {
    this.#share[0] = share;
  }

  async close() {
    await Promise.all(this.#workers.map(worker => worker.terminate()));
    rmSync(this.#file, { force: true });
  }
}

if (!isMainThread) work(workerData);

/** @param {{ share: Float64Array, file: string | null }} data */
function work({ share, file }) {
  const rest = new Int32Array(new SharedArrayBuffer(4));
  const block = Buffer.alloc(256 << 10, 1);
  for (let round = 0; ; round++) {
    // A little unrest, or the line would be a ruler's.
    const busy = Math.min(1, (share[0] ?? 0) * (0.75 + Math.random() / 2));
    const end = performance.now() + busy * ROUND;
    if (file && round % 50 === 0)
      writeFileSync(file, block.subarray(0, Math.ceil(busy * block.length)), { flush: true });
    while (performance.now() < end) Math.sqrt(end);
    Atomics.wait(rest, 0, 0, ROUND * (1 - busy));
  }
}
