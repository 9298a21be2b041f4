// Writers over HTTP: docs/HTTP.md. What they sent and how it was answered goes into the truth.

import http from 'node:http';
import { request as encode, snappy } from './remotewrite.js';
import { acceptable } from './truth.js';
import { sleep } from './viewer.js';

/**
 * @typedef {[string, string][]} Labels
 * @typedef {{ labels: Labels, t: number, v: number, bits?: bigint }} Value
 * @typedef {import('./viewer.js').World & { gate: Gate, without: string[] }} World
 * @typedef {{ status: number, code: string, message: string, written: number } | { error: string }} Answer
 */

/** @param {string} name @param {Record<string, string>} [rest] @returns {Labels} */
export function labels(name, rest = {}) {
  return /** @type {Labels} */ (
    [['__name__', name], ...Object.entries(rest)].sort(([a], [b]) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    )
  );
}

/** Writers wait here while the judge looks. */
export class Gate {
  constructor() {
    this.closed = false;
    this.over = false;
    this.busy = 0;
  }

  /** @template T @param {() => Promise<T>} work */
  async pass(work) {
    while (this.closed && !this.over) await sleep(20);
    if (this.over) return undefined;
    this.busy++;
    try {
      return await work();
    } finally {
      this.busy--;
    }
  }
}

/** @param {Value[]} values */
function body(values) {
  /** @type {Map<string, import('./remotewrite.js').WriteSeries>} */
  const series = new Map();
  for (const { labels, t, v, bits } of values) {
    const key = JSON.stringify(labels);
    let s = series.get(key);
    if (!s) {
      s = { labels, samples: [] };
      series.set(key, s);
    }
    s.samples.push({ t, v, bits });
  }
  return snappy(encode([...series.values()]));
}

/** @param {import('./stage.js').Server} server @param {Uint8Array} data @param {Record<string, string>} headers @param {number} patience @returns {Promise<Answer>} */
export function post(server, data, headers, patience) {
  return new Promise(resolve => {
    const request = http.request(
      `${server.url}/api/v1/write`,
      {
        method: 'POST',
        agent: server.agent,
        timeout: patience,
        headers: {
          'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
          'Content-Encoding': 'snappy',
          'Content-Length': data.length,
          ...headers,
        },
      },
      response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('error', error => resolve({ error: error.message }));
        response.on('end', () => {
          let parsed;
          try {
            parsed = text ? JSON.parse(text).error : {};
          } catch {
            parsed = { code: 'not JSON', message: text };
          }
          resolve({
            status: response.statusCode ?? 0,
            code: parsed?.code ?? '',
            message: parsed?.message ?? '',
            written: Number(response.headers['x-prometheus-remote-write-samples-written'] ?? -1),
          });
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', error => resolve({ error: error.message }));
    request.end(data);
  });
}

/** A writer without numbers. */
export class Writer {
  /** @param {World} world @param {string} name @param {import('./random.js').Random} random */
  constructor(world, name, random) {
    this.world = world;
    this.name = name;
    this.random = random;
    /** @type {import('./stage.js').Server} */
    this.server = random.pick(world.stage.servers);
    this.patience = 3000;
  }

  /** To another server, mostly. */
  move() {
    this.server = this.world.stage.other(this.server, this.random);
  }

  /** @param {string} rule @param {string} detail */
  violation(rule, detail) {
    this.world.violation(rule, `writer ${this.name} at ${this.server.name}`, detail);
  }

  /**
   * Sends values until they are answered, or gives up when there is no answer: then they may be there or not.
   * @param {Value[]} values
   * @param {{ tolerant?: boolean, insist?: boolean, second?: boolean, split?: boolean }} [o]
   * @returns {Promise<Answer | undefined>}
   */
  async send(values, { tolerant = false, insist = this.random.chance(0.6), second = false } = {}) {
    return this.world.gate.pass(async () => {
      const { truth } = this.world;
      const data = body(values);
      let begin = Date.now();
      const entries = truth.send(values, begin);
      for (;;) {
        const answer = await post(this.server, data, {}, this.patience);
        const now = Date.now();
        if ('error' in answer || answer.status === 503 || answer.status === 429) {
          if (!insist || this.world.gate.over) {
            truth.unanswered += entries.length;
            return undefined;
          }
          this.move();
          await sleep(100);
          begin = Math.min(begin, Date.now());
          continue;
        }
        const verdicts = values.map(v => acceptable(v.t, begin, now));
        const sure = !verdicts.includes('either');
        const good = verdicts.filter(v => v === 'yes').length;
        if (answer.status === 204) {
          if (sure && good < values.length)
            this.violation('write', `204, but ${values.length - good} lie outside of the bounds`);
          if (answer.written !== values.length) {
            if (second)
              this.world.open(
                `a second value for a stored time: 204, samples written ${answer.written} of ${values.length}`,
              );
            else this.violation('write', `204 with ${answer.written} samples written of ${values.length}`);
          }
          truth.answer(entries, now);
        } else if (answer.status === 400 && answer.code === 'not_all_written') {
          if (tolerant) {
            // The last of the values is a good one: "some of it was not taken; the rest is in the log".
            if (answer.written < 1)
              this.violation('write', `a good sample beside a bad one: ${JSON.stringify(answer)}`);
            truth.refuse(entries.slice(0, -1));
            truth.answer(entries.slice(-1), now);
          } else if (second && answer.written === 1) {
            this.world.open(
              'two values for one time in one request: 400 not_all_written, the first is taken',
            );
            truth.answer(entries, now);
          } else if (sure && (good === values.length || answer.written !== good)) {
            this.violation('write', `${answer.message}; ${good} of ${values.length} lie within the bounds`);
            truth.answer(entries, now);
          } else truth.answer(entries, now);
        } else if (tolerant && answer.status === 400) {
          this.world.open(`a body with one unusual series: 400 ${answer.code}, nothing of it is taken`);
          truth.refuse(entries);
        } else {
          this.violation('write', JSON.stringify(answer));
          truth.refuse(entries);
        }
        return answer;
      }
    });
  }
}

/** A source that numbers its batches. */
export class Source extends Writer {
  /** @param {World} world @param {string} name @param {import('./random.js').Random} random */
  constructor(world, name, random) {
    super(world, name, random);
    this.source = `witness-${name}-${process.pid}-${random.int(0, 1e9).toString(36)}`;
    this.number = 0;
    /** Batches with numbers that were never tried. @type {{ number: number, values: Value[] }[]} */
    this.queue = [];
    this.newest = 0;
    this.holes = 0;
    /** Given up right before the head of the queue. */
    this.given = 0;
    /** Starts of the server that took the last one, so that it knows the numbers. */
    this.knows = '';
    this.merged = 0;
  }

  /** @param {Value[]} values */
  add(values) {
    this.queue.push({ number: ++this.number, values });
  }

  /** Gives up the oldest batches that wait. @param {number} count @param {boolean} announce */
  giveUp(count, announce) {
    if (this.given > 0 || this.number - this.queue.length < 1) return;
    const gone = this.queue.splice(0, Math.min(count, this.queue.length - 1));
    if (gone.length === 0) return;
    this.given = gone.length;
    this.announce = announce;
    this.lost = gone.flatMap(b => b.values);
  }

  /** Sends what waits, in one request, until it is answered. @param {number} [most] batches in one request */
  async flush(most = 1) {
    const batches = this.queue.splice(0, most);
    if (batches.length === 0) return;
    await this.world.gate.pass(async () => {
      const { truth, stage } = this.world;
      const values = batches.flatMap(b => b.values);
      const last = batches[batches.length - 1];
      /** @type {Record<string, string>} */
      const headers = {
        'Stripchart-Source': this.source,
        'Stripchart-Seq': String(last.number),
        'Stripchart-Merged': String(batches.length - 1),
      };
      if (batches.length > 1) this.merged++;
      const lost = this.given > 0 ? (this.lost ?? []) : [];
      if (this.given > 0 && this.announce) {
        headers['Stripchart-Dropped'] = String(this.given);
        headers['Stripchart-Dropped-After'] = String(this.newest);
      }
      const data = body(values);
      const entries = truth.send(values, Date.now(), this.source);
      for (;;) {
        const answer = await post(this.server, data, headers, this.patience);
        if ('error' in answer || answer.status === 503 || answer.status === 429) {
          if (this.world.gate.over) {
            truth.unanswered += entries.length;
            return;
          }
          this.move();
          await sleep(100);
          continue;
        }
        const now = Date.now();
        if (answer.status !== 204) {
          this.violation('write', `${JSON.stringify(headers)}: ${JSON.stringify(answer)}`);
          truth.refuse(entries);
          return;
        }
        truth.answer(entries, now);
        // A server whose log is in memory knows no numbers after a restart.
        const knows = stage.mode === 'redis' ? 'always' : `${this.server.name} ${this.server.starts}`;
        if (lost.length > 0) {
          this.holes++;
          if (this.announce || knows === this.knows) {
            for (const { labels, t } of lost) truth.dropped.push({ series: truth.find(labels), t, at: now });
          }
          this.given = 0;
          this.lost = undefined;
        }
        this.knows = knows;
        for (const v of values) this.newest = Math.max(this.newest, v.t);
        return;
      }
    });
  }
}

/** A new value, never the same twice. */
let counter = 0;
export const fresh = () => ++counter / 8 + Math.round(Math.sin(counter / 7) * 1e6) / 64;

const ODD = [
  'a"b',
  'back\\slash',
  'new\nline',
  '<b>&amp;</b>',
  'Zürich',
  '日本',
  '🙂',
  ' space ',
  "it's",
  '\u0001',
  'x'.repeat(600),
  '0',
  '__proto__',
  'constructor',
];

/**
 * All writers; they end when the gate is over.
 * @param {World} world @param {import('./random.js').Random} random
 * @returns {{ done: Promise<unknown>, sources: Source[] }}
 */
export function startWriters(world, random) {
  const { gate, truth } = world;
  /** @type {Source[]} */
  const sources = [];
  /** @type {Promise<void>[]} */
  const tasks = [];
  /** @param {number} period @param {() => Promise<unknown>} work */
  const every = (period, work) => {
    tasks.push(
      (async () => {
        await sleep(random.int(0, period));
        while (!gate.over) {
          const begin = Date.now();
          if (!gate.closed) await work();
          await sleep(Math.max(5, period - (Date.now() - begin)));
        }
      })(),
    );
  };
  /** @param {string} name */
  const source = name => {
    const s = new Source(world, name, random.fork(name));
    sources.push(s);
    return s;
  };
  /** @param {string} name */
  const writer = name => new Writer(world, name, random.fork(name));
  /** @param {Labels} l */
  const ordered = l => {
    truth.find(l).ordered = true;
    return l;
  };
  /** A time that was not used for this series. @type {Map<string, number>} */
  const last = new Map();
  /** @param {string} key */
  const tick = key => {
    const t = Math.max(Date.now(), (last.get(key) ?? 0) + 1);
    last.set(key, t);
    return t;
  };

  // Once a quarter of a second, eight series that share times.
  const even = Array.from({ length: 8 }, (_, i) =>
    ordered(labels('even', { i: String(i), side: i % 2 ? 'left' : 'right' })),
  );
  const evenSource = source('even');
  every(250, async () => {
    const t = tick('even');
    evenSource.add(even.map(l => ({ labels: l, t, v: fresh() })));
    await evenSource.flush(8);
  });

  // The series of namespace /: whole seconds and others.
  const root = ordered(labels('witness_default', { kind: 'root' }));
  const rootSource = source('root');
  every(400, async () => {
    let t = tick('root');
    if (random.chance(0.3) && Math.ceil(t / 1000) * 1000 - t < 400) t = Math.ceil(t / 1000) * 1000;
    last.set('root', t);
    rootSource.add([{ labels: root, t, v: random.chance(0.05) ? Number.NaN : fresh() }]);
    await rootSource.flush(4);
  });

  // Fast: many times in one batch, without numbers, in order.
  const fast = Array.from({ length: 3 }, (_, i) => labels('fast', { i: String(i) }));
  const fastWriter = writer('fast');
  every(100, async () => {
    const t = tick('fast');
    const values = [];
    for (const l of fast) for (let k = 4; k >= 0; k--) values.push({ labels: l, t: t - k * 19, v: fresh() });
    last.set('fast', t + 100);
    await fastWriter.send(values);
  });

  // A source that cannot keep everything: it gives batches up, mostly says so, and merges others.
  const gappy = Array.from({ length: 3 }, (_, i) => ordered(labels('gappy', { i: String(i) })));
  const gappySource = source('gappy');
  let hoard = 0;
  every(200, async () => {
    const t = tick('gappy');
    gappySource.add(gappy.map(l => ({ labels: l, t, v: fresh() })));
    if (hoard > 0) {
      hoard--;
      return;
    }
    if (gappySource.queue.length > 3 && random.chance(0.6))
      gappySource.giveUp(random.int(1, 3), random.chance(0.6));
    await gappySource.flush(random.int(1, 6));
    if (gappySource.queue.length === 0 && random.chance(0.08)) hoard = random.int(4, 12);
  });

  // Late samples: single times of the last minute, in any order, between those of now.
  const lateWriter = writer('late');
  every(300, async () => {
    /** @type {Value[]} */
    const values = [];
    const now = Date.now();
    for (const i of [0, 1, 2]) {
      const l = labels('late', { i: String(i) });
      for (let k = random.int(0, 3); k >= 0; k--) {
        const t = now - random.int(0, random.pick([100, 2000, 20_000, 80_000]));
        if (!truth.find(l).at(t) && !values.some(v => v.labels === l && v.t === t))
          values.push({ labels: l, t, v: fresh() });
      }
    }
    if (values.length > 0) await lateWriter.send(values);
  });

  // A spool that is delivered after minutes: old times in large batches, of series that are also written now.
  const spooled = Array.from({ length: 3 }, (_, i) => labels('spooled', { i: String(i) }));
  const spoolSource = source('spool');
  let back = 0;
  every(500, async () => {
    const t = tick('spool');
    spoolSource.add(spooled.map(l => ({ labels: l, t, v: fresh() })));
    await spoolSource.flush(8);
    if (!random.chance(0.1)) return;
    const begin = Date.now() - random.int(1, 40) * 60_000 - back++;
    const step = random.pick([97, 500, 1000]);
    const values = [];
    for (const l of spooled) {
      for (let k = 0; k < 60; k++) {
        const late = begin + k * step;
        if (!truth.find(l).at(late)) values.push({ labels: l, t: late, v: fresh() });
      }
    }
    if (random.chance(0.5)) {
      spoolSource.add(values);
      await spoolSource.flush(1);
    } else await lateWriter.send(values);
  });

  // Ahead of the clock, within the bound and beyond it, and too old, with numbers and without.
  const edgeSource = source('edge');
  const edgeWriter = writer('edge');
  every(700, async () => {
    const now = Date.now();
    const offset = random.pick([
      2000, 15_000, 30_000, 55_000, 59_000, 61_500, 75_000, 3_600_000, 86_400_000, -86_390_000, -86_402_000,
      -90_000_000, 0, 0,
    ]);
    const numbered = random.chance(0.5);
    const l = labels('edge', { i: String(random.int(0, 2)) });
    // A batch with a number may be put into the log again, up to some ten seconds later, when Redis comes back, and
    // what was just beyond the bound is within it then.
    const t = now + offset + (numbered && offset > 60_000 && offset < 100_000 ? 60_000 : 0);
    if (truth.find(l).at(t)) return;
    const values = [{ labels: l, t, v: fresh() }];
    if (random.chance(0.5)) {
      const good = labels('edge', { i: 'good' });
      if (!truth.find(good).at(now)) values.push({ labels: good, t: now, v: fresh() });
    }
    if (numbered) {
      edgeSource.add(values);
      await edgeSource.flush(1);
    } else await edgeWriter.send(values);
  });

  // Second values for times that are known: the first wins, whoever sends the second, and in one request too.
  const secondWriter = writer('second');
  every(600, async () => {
    const l = labels('second', { i: String(random.int(0, 2)) });
    const t = Date.now() - random.int(0, 3000);
    if (truth.find(l).at(t)) return;
    const values = [{ labels: l, t, v: random.chance(0.2) ? Number.NaN : fresh() }];
    if (random.chance(0.3)) values.push({ labels: l, t, v: fresh() });
    const answer = await secondWriter.send(values, { insist: true, second: values.length > 1 });
    if (!answer) return;
    for (let k = random.int(0, 2); k > 0; k--) {
      secondWriter.move();
      await secondWriter.send([{ labels: l, t, v: fresh() }], { second: true });
    }
  });

  // Unusual labels and values, each beside a good one.
  const oddWriter = writer('odd');
  let odd = 0;
  every(500, async () => {
    const t = tick('odd');
    const good = { labels: labels('odd', { kind: 'good' }), t, v: fresh() };
    const value = {
      t,
      v: random.pick([
        Number.NaN,
        Infinity,
        -Infinity,
        -0,
        5e-324,
        1.7976931348623157e308,
        0.1,
        1e21,
        -1e-7,
        fresh(),
      ]),
    };
    const bits = Number.isNaN(value.v) && random.chance(0.5) ? 0x7ff0000000000002n : undefined;
    const text = ODD[odd % ODD.length];
    /** @type {Labels} */
    let l;
    switch (odd++ % 9) {
      case 0:
      case 1:
        l = labels('odd', { kind: 'value', text });
        break;
      case 2: // Two spellings of one series: an empty value is as good as none.
        l = labels('odd', {
          kind: 'empty',
          ...(!world.without.includes('empty') && random.chance(0.5) ? { nothing: '' } : {}),
        });
        break;
      case 3: // Names that need quotes.
        l = labels('odd', { kind: 'name', 'dotted.name': 'x', übel: text });
        break;
      case 4:
        l = labels('odd.metric', { kind: 'metric' });
        break;
      case 5: // Not sorted, which is another spelling of the same series.
        l = labels('odd', { kind: 'unsorted', zone: 'z' });
        if (!world.without.includes('unsorted') && random.chance(0.5)) l.reverse();
        break;
      case 6:
        l = [
          ['kind', 'nameless'],
          ['only', 'labels'],
        ];
        break;
      case 7: {
        // What a label with two values would mean is not said; it cannot be taken.
        const twice = labels('odd', { kind: 'twice' });
        twice.push(['kind', 'two']);
        const answer = await oddWriter.send([{ labels: twice, ...value }, good], { tolerant: true });
        if (answer && 'status' in answer && answer.status === 204)
          oddWriter.violation('write', `204 for ${JSON.stringify(twice)}`);
        return;
      }
      default:
        l = labels('odd', { kind: 'numbers', text: String(random.int(0, 3)) });
    }
    await oddWriter.send([{ labels: l, ...value, bits }, good], { tolerant: true });
  });

  // Seldom.
  const seldomWriter = writer('seldom');
  for (const i of [0, 1]) {
    every(random.int(4000, 16_000), async () => {
      await seldomWriter.send(
        [{ labels: labels('seldom', { i: String(i) }), t: tick('seldom'), v: fresh() }],
        { insist: true },
      );
    });
  }

  // More series than a room sends, half of them with numbers.
  const crowd = Array.from({ length: 230 }, (_, i) =>
    ordered(labels('crowd', { n: String(i).padStart(3, '0') })),
  );
  const crowdSource = source('crowd');
  every(1500, async () => {
    const t = tick('crowd');
    crowdSource.add(crowd.map(l => ({ labels: l, t, v: fresh() })));
    await crowdSource.flush(8);
  });

  // Series that come and go.
  const churnWriter = writer('churn');
  let churn = 0;
  every(400, async () => {
    if (random.chance(0.1)) churn++;
    const values = [];
    for (const k of [churn, churn + 1])
      values.push({ labels: labels('churn', { k: String(k) }), t: tick(`churn ${k}`), v: fresh() });
    await churnWriter.send(values);
  });

  return { done: Promise.all(tasks), sources };
}

/** History that is there before the first viewer: dense series, so that columns are sent. @param {World} world @param {import('./random.js').Random} random */
export async function backlog(world, random) {
  const w = new Writer(world, 'dense', random.fork('dense'));
  const end = Date.now() - 5000;
  for (let part = 0; part < 8; part++) {
    const values = [];
    for (let i = 0; i < 4; i++) {
      const l = labels('dense', { i: String(i) });
      for (let k = 0; k < 600; k++) {
        const t = end - ((7 - part) * 600 + (600 - k)) * 120 + i * 3;
        values.push({ labels: l, t, v: i === 3 && k % 50 === 0 ? Number.NaN : fresh() });
      }
    }
    await w.send(values, { insist: true });
  }
}
