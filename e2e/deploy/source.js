import { setTimeout as sleep } from 'node:timers/promises';

/** The series that the source writes; its only label is `k`. */
export const METRIC = 'numbered';

/** How long the source waits before it sends a batch again, ms. */
const AGAIN_AFTER = 100;

/**
 * A source that numbers its samples, and remembers those that were acknowledged. It keeps the rules of docs/HTTP.md: one
 * request at a time, in the order of its numbers, and the same batch under the same number until it has an answer.
 */
export class NumberedSource {
  /** Time, Unix ms, and value of each acknowledged sample; every series has the same. @type {Map<number, number>} */
  acknowledged = new Map();
  /** How many requests were not acknowledged, and sent again. */
  failures = 0;
  #url;
  #series;
  #interval;
  #stopping = false;
  #givenUp = false;
  #done;

  /**
   * @param {string} url of a server, or of what stands before several
   * @param {{ series: number, interval: number }} options `interval` in ms
   */
  constructor(url, { series, interval }) {
    this.#url = `${url}/api/v1/write`;
    this.#series = series;
    this.#interval = interval;
    this.#done = this.#run();
    this.#done.catch(() => {}); // told by stop
  }

  /** Measures nothing more, and returns when the last sample is acknowledged. */
  stop() {
    this.#stopping = true;
    return this.#done;
  }

  /** Gives up what is not acknowledged yet: a test that has failed would never end otherwise. */
  close() {
    this.#stopping = true;
    this.#givenUp = true;
  }

  async #run() {
    const begun = Date.now();
    for (let n = 1; !this.#stopping; n++) {
      // What is late is sent late, with its own time.
      const time = begun + n * this.#interval;
      await sleep(Math.max(0, time - Date.now()));
      await this.#insist(n, time);
      this.acknowledged.set(time, n);
    }
  }

  /**
   * @param {number} n sequence number of the batch, and value of its samples
   * @param {number} time Unix ms
   */
  async #insist(n, time) {
    const body = remoteWrite(this.#series, time, n);
    const headers = {
      'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'Content-Encoding': 'snappy',
      'Stripchart-Source': 'numbered',
      'Stripchart-Seq': `${n}`,
      'Stripchart-Merged': '0',
    };
    while (!this.#givenUp) {
      const answer = await fetch(this.#url, { method: 'POST', headers, body }).catch(() => null);
      const said = await answer?.text().catch(() => '');
      if (answer?.status === 204) return;
      if (answer && answer.status < 500) throw new Error(`batch ${n} was refused: ${answer.status} ${said}`);
      this.failures += 1;
      await sleep(AGAIN_AFTER);
    }
  }
}

/**
 * A Remote-Write 2.0 request with one sample of each series, in snappy's form for data that is not compressed.
 *
 * @param {number} series
 * @param {number} time Unix ms
 * @param {number} value
 */
function remoteWrite(series, time, value) {
  const symbols = ['', '__name__', METRIC, 'k', ...Array.from({ length: series }, (_, k) => `${k}`)];
  const number = Buffer.alloc(8);
  number.writeDoubleLE(value);
  const sample = Buffer.concat([Buffer.from([0x09]), number, Buffer.from([0x10]), varint(time)]);
  const request = Buffer.concat([
    ...symbols.map(symbol => field(4, Buffer.from(symbol))),
    ...Array.from({ length: series }, (_, k) =>
      field(5, Buffer.concat([field(1, Buffer.from([1, 2, 3, 4 + k])), field(2, sample)])),
    ),
  ]);
  const literal = Buffer.from([0xf4, 0, 0]);
  literal.writeUInt16LE(request.length - 1, 1);
  return Buffer.concat([varint(request.length), literal, request]);
}

/**
 * @param {number} number of a protobuf field
 * @param {Buffer} value
 */
function field(number, value) {
  return Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
}

/** @param {number} n */
function varint(n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}
