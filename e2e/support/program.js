import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startChild } from './children.js';
import { stripchart } from './paths.js';
import { PATIENCE, until } from './until.js';

/**
 * One stripchart with its data and its address, over any number of lives: it can be killed and started again.
 */
export class Program {
  /** @type {ReturnType<typeof startChild> | null} */
  #running = null;
  /** @type {string[]} */
  #log = [];
  #args;
  #binary;
  #data;

  /**
   * @param {string} folder for the data and the log
   * @param {number} port
   * @param {readonly string[]} args beside the address and the data folder
   * @param {string} binary
   */
  constructor(folder, port, args, binary) {
    this.folder = folder;
    this.port = port;
    this.#args = args;
    this.#binary = binary;
    this.#data = join(folder, 'data');
  }

  /** Makes a program that is not running yet.
   *
   * @param {string} folder
   * @param {readonly string[]} args
   */
  static async create(folder, args, binary = stripchart()) {
    await mkdir(folder, { recursive: true });
    return new Program(folder, await freePort(), args, binary);
  }

  get url() {
    return `${this.#args.includes('--tls-cert') ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** Every line that it wrote, over all lives. */
  get log() {
    return this.#log;
  }

  /** Returns when the program can be asked. */
  async start() {
    if (this.#running) throw new Error('it runs already');
    const running = startChild(this.#binary, [
      ...['--listen', `127.0.0.1:${this.port}`, '--data-dir', this.#data],
      ...['--log-format', 'json', ...this.#args],
    ]);
    this.#running = running;
    const lines = createInterface(/** @type {import('node:stream').Readable} */ (running.child.stderr));
    lines.on('line', line => this.#log.push(line));
    /** @type {Promise<void>} */
    const announced = new Promise(resolve => {
      lines.on('line', line => line.includes('"msg":"open this page"') && resolve());
    });
    const ended = running.exited.then(exit => {
      throw new Error(
        `stripchart ended at its start (${exit.code ?? exit.signal}):\n${this.#log.join('\n')}`,
      );
    });
    await within(PATIENCE, 'the start', Promise.race([announced, ended]));
    await within(PATIENCE, 'readiness', this.#ready());
  }

  /** Ends it as a power cut would, but for the machine. */
  async kill() {
    if (!this.#running) return;
    const { child, exited } = this.#running;
    child.kill('SIGKILL');
    await exited;
    this.#running = null;
  }

  /** Ends it as planned. Returns how it ended. */
  async stop() {
    if (!this.#running) throw new Error('it does not run');
    const { child, exited } = this.#running;
    child.kill('SIGTERM');
    const exit = await within(PATIENCE, 'the stop', exited);
    this.#running = null;
    return exit;
  }

  /** Makes it stand still, with its connections open. */
  freeze() {
    this.#running?.child.kill('SIGSTOP');
  }

  thaw() {
    this.#running?.child.kill('SIGCONT');
  }

  /** Fails when it ended by itself, or logged an error. */
  assertWell() {
    const exitCode = this.#running?.child.exitCode ?? null;
    assert.equal(exitCode, null, 'stripchart ended by itself');
    const faults = this.#log.filter(line => !/^\{.*"level":"(DEBUG|INFO|WARN)"/.test(line));
    assert.deepEqual(faults, [], 'errors in the log');
  }

  /** Waits until it has measured so many times: there is a history then. @param {number} ticks */
  async untilMeasured(ticks) {
    await until(`${ticks} measurements`, async () => {
      const figures = await (await fetch(`${this.url}/metrics`)).text();
      return Number(/^stripchart_batches_total (\d+)$/m.exec(figures)?.[1] ?? 0) > ticks + 1; // and one of all that changes slowly
    });
  }

  /** Ends it, whatever it is at, and leaves its log. */
  async close() {
    this.thaw();
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
    await writeFile(join(this.folder, 'stripchart.log'), this.#log.map(line => `${line}\n`).join(''));
  }

  async #ready() {
    while (this.#running) {
      if (await answersOK(`${this.url}/readyz`)) return;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
}

/**
 * Whether a server answers 200, whatever certificate it has.
 *
 * @param {string} url
 * @returns {Promise<boolean>}
 */
function answersOK(url) {
  if (url.startsWith('http:')) {
    return fetch(url).then(
      answer => answer.ok,
      () => false,
    );
  }
  return new Promise(resolve => {
    get(url, { rejectUnauthorized: false, agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).on('error', () => resolve(false));
  });
}

/**
 * Returns a port that nobody listens on, below those that the system gives to outgoing connections: while the
 * server is down, a client that tries to connect could be given the very port and so connect to itself.
 */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(10_000 * Math.random());
    const free = await new Promise(resolve => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/**
 * @template T
 * @param {number} ms
 * @param {string} what
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
async function within(ms, what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
