// The record of what was written: every value that was sent for a series and a time, and how it was answered.

const DAY = 24 * 3600_000;
const AHEAD = 60_000;
const BUCKET = 10_000;

/**
 * One attempt to write a value. `flying`: no answer yet, or none came: it may be in the log or not.
 * @typedef {object} Try
 * @property {number} v
 * @property {number} sentAt
 * @property {number} endAt
 * @property {'flying' | 'acknowledged' | 'refused' | 'shadow'} state
 * @property {string} by the source whose numbers it had, or ''
 * @property {number} late by how much it was older than its series' newest, ms
 *
 * @typedef {object} Sample
 * @property {number} t
 * @property {Try[]} tries
 * @property {number | null} [pin] what a page was shown, where several values are possible
 *
 * @typedef {{ from: number, to: number, reason: string }} Gap
 */

/** Labels in their canonical form: sorted, and without empty values, which in PromQL are as good as absent.
 * @param {[string, string][]} labels */
export function canonical(labels) {
  return labels
    .filter(([, v]) => v !== '')
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** @param {[string, string][]} labels canonical */
export const keyOf = labels => JSON.stringify(labels);

/** @param {Record<string, string>} object */
export const keyOfObject = object => keyOf(canonical(Object.entries(object)));

/** On the wire NaN and the infinities are null. @param {number} v @returns {number | null} */
export const wire = v => (Number.isFinite(v) ? v : null);

/** The order of labels: name, value, name, value, as bytes. @param {[string, string][]} a @param {[string, string][]} b */
export function compareLabels(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) {
    for (const part of [0, 1]) {
      const order = Buffer.compare(Buffer.from(a[i][part]), Buffer.from(b[i][part]));
      if (order !== 0) return order;
    }
  }
  return a.length - b.length;
}

export class Series {
  /** @param {string} key @param {[string, string][]} labels */
  constructor(key, labels) {
    this.key = key;
    this.labels = labels;
    this.object = Object.fromEntries(labels);
    /** @type {Map<number, Map<number, Sample>>} */
    this.buckets = new Map();
    /** Written in order, one request after another. */
    this.ordered = false;
    /** When the first and the last of its samples were acknowledged; when anything was first sent. */
    this.firstAcknowledged = Infinity;
    this.lastAcknowledged = -Infinity;
    this.firstSent = Infinity;
    this.newest = -Infinity;
  }

  /** @param {number} t */
  at(t) {
    return this.buckets.get(Math.floor(t / BUCKET))?.get(t);
  }

  /** The samples of [from, to], in no order. @param {number} from @param {number} to */
  *between(from, to) {
    const first = Math.floor(from / BUCKET);
    const last = Math.floor(to / BUCKET);
    if (last - first < this.buckets.size) {
      for (let b = first; b <= last; b++) {
        for (const s of this.buckets.get(b)?.values() ?? []) if (s.t >= from && s.t <= to) yield s;
      }
      return;
    }
    for (const [b, samples] of this.buckets) {
      if (b < first || b > last) continue;
      for (const s of samples.values()) if (s.t >= from && s.t <= to) yield s;
    }
  }
}

/** When a sample became one that everybody must have; Infinity if it may be absent. @param {Sample} sample */
export function acknowledgedAt(sample) {
  let at = Infinity;
  for (const { state, endAt } of sample.tries) if (state === 'acknowledged' && endAt < at) at = endAt;
  return at;
}

/** The values that may be the first in the log. @param {Sample} sample */
export function candidates(sample) {
  const limit = acknowledgedAt(sample);
  return sample.tries
    .filter(x => (x.state === 'acknowledged' || x.state === 'flying') && x.sentAt <= limit)
    .map(x => x.v);
}

/**
 * HTTP.md: "accepted when its time lies at most 24 h back and 60 s ahead", by the time of the log, which lies
 * between sending and answer.
 * @param {number} t @param {number} sentAt @param {number} endAt @returns {'yes' | 'no' | 'either'}
 */
export function acceptable(t, sentAt, endAt) {
  const slack = 100;
  if (t >= endAt - DAY + slack && t <= sentAt + AHEAD - slack) return 'yes';
  if (t < sentAt - DAY - slack || t > endAt + AHEAD + slack) return 'no';
  return 'either';
}

/** @typedef {{ series: Series, sample: Sample, attempt: Try }} Entry */

export class Truth {
  constructor() {
    /** @type {Map<string, Series>} */
    this.series = new Map();
    /** By name of server: what it has declared. @type {Map<string, Map<string, Gap[]>>} */
    this.gaps = new Map();
    /** Samples that a source has given up, and for which a gap must be declared. */
    /** @type {{ series: Series, t: number, at: number }[]} */
    this.dropped = [];
    /** How late samples were that were acknowledged. @type {{ by: string, late: number, at: number }[]} */
    this.lates = [];
    this.acknowledged = 0;
    this.refused = 0;
    this.unanswered = 0;
    this.seconds = 0;
  }

  /** @param {[string, string][]} labels */
  find(labels) {
    const clean = canonical(labels);
    const key = keyOf(clean);
    let series = this.series.get(key);
    if (!series) {
      series = new Series(key, clean);
      this.series.set(key, series);
    }
    return series;
  }

  /**
   * Values are about to be sent, together.
   * @param {{ labels: [string, string][], t: number, v: number }[]} values
   * @param {number} at
   * @param {string} [by]
   * @returns {Entry[]}
   */
  send(values, at, by = '') {
    /** @type {Set<Sample>} */
    const seen = new Set();
    return values.map(({ labels, t, v }) => {
      const series = this.find(labels);
      series.firstSent = Math.min(series.firstSent, at);
      const bucket = Math.floor(t / BUCKET);
      let samples = series.buckets.get(bucket);
      if (!samples) {
        samples = new Map();
        series.buckets.set(bucket, samples);
      }
      let sample = samples.get(t);
      if (!sample) {
        sample = { t, tries: [] };
        samples.set(t, sample);
      } else this.seconds++;
      /** @type {Try} */
      const attempt = { v, sentAt: at, endAt: Infinity, state: 'flying', by, late: series.newest - t };
      if (seen.has(sample)) attempt.state = 'shadow';
      seen.add(sample);
      sample.tries.push(attempt);
      return { series, sample, attempt };
    });
  }

  /** An answer: what is acceptable is in the log, the rest is not. @param {Entry[]} entries @param {number} at */
  answer(entries, at) {
    for (const { series, sample, attempt } of entries) {
      if (attempt.state !== 'flying') continue;
      const verdict = acceptable(sample.t, attempt.sentAt, at);
      if (verdict === 'either') continue;
      attempt.endAt = at;
      attempt.state = verdict === 'yes' ? 'acknowledged' : 'refused';
      if (verdict === 'no') {
        this.refused++;
        continue;
      }
      this.acknowledged++;
      if (attempt.late > 0) this.lates.push({ by: attempt.by, late: attempt.late, at });
      series.firstAcknowledged = Math.min(series.firstAcknowledged, at);
      series.lastAcknowledged = Math.max(series.lastAcknowledged, at);
      series.newest = Math.max(series.newest, sample.t);
    }
  }

  /** Nothing of it was taken. @param {Entry[]} entries */
  refuse(entries) {
    for (const { attempt } of entries) {
      if (attempt.state !== 'flying') continue;
      attempt.state = 'refused';
      this.refused++;
    }
  }

  /** @param {string} server @param {string} key @param {Gap} gap */
  declare(server, key, gap) {
    let map = this.gaps.get(server);
    if (!map) {
      map = new Map();
      this.gaps.set(server, map);
    }
    let list = map.get(key);
    if (!list) {
      list = [];
      map.set(key, list);
    }
    if (!list.some(g => g.from === gap.from && g.to === gap.to)) list.push(gap);
  }

  /** @param {string} server @param {string} key @param {number} t */
  declared(server, key, t) {
    return (
      this.gaps
        .get(server)
        ?.get(key)
        ?.some(g => g.from < t && t < g.to) ?? false
    );
  }

  /** What a page was shown of what was never acknowledged is forgotten: the log that had it is gone. */
  unpin() {
    for (const series of this.series.values()) {
      for (const samples of series.buckets.values()) {
        for (const s of samples.values())
          if (s.pin !== undefined && acknowledgedAt(s) === Infinity) delete s.pin;
      }
    }
  }

  /**
   * What is wrong with a sample that a page was sent, or nothing.
   * @param {string} key @param {number} t @param {number | null} v @param {string} server
   * @returns {{ rule: string, detail: string } | undefined}
   */
  judge(key, t, v, server) {
    const series = this.series.get(key);
    if (!series) return { rule: 'invented', detail: 'no such series was written' };
    const sample = series.at(t);
    if (!sample) return { rule: 'invented', detail: 'nothing was written at this time' };
    const allowed = candidates(sample);
    if (allowed.length === 0)
      return { rule: 'invented', detail: `it was refused: ${JSON.stringify(sample.tries)}` };
    if (!allowed.some(x => wire(x) === v)) {
      const other = sample.tries.some(x => wire(x.v) === v);
      // A server that has lost the first value may take the second for the first; it has said that it lost some.
      if (other && this.declared(server, key, t)) return undefined;
      return {
        rule: other ? 'value' : 'invented',
        detail: `${v} instead of ${allowed}; ${JSON.stringify(sample.tries)}`,
      };
    }
    if (allowed.length > 1) {
      if (sample.pin === undefined) sample.pin = v;
      else if (sample.pin !== v && !this.declared(server, key, t)) {
        return {
          rule: 'value',
          detail: `${v}, but another page was shown ${sample.pin}; ${JSON.stringify(sample.tries)}`,
        };
      }
    }
    return undefined;
  }
}
