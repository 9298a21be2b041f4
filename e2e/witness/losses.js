// What servers have lost with the log, and until when the documents let them judge it.

/** "15 s after the server is back and has read on". */
const JUDGED = 15_000;
/** "or three intervals of a series that is written less often": of the witness's own, as often as they are. */
const SELDOM = 3 * 16_000;
/** For reading on, and for a busy machine. */
const SLACK = 6000;

/**
 * `from` and `to`: what was acknowledged in between, and the server had not read, is lost.
 * @typedef {{ server: import('./stage.js').Server, reason: string, from: number, to: number, over: boolean }} Loss
 */

export class Losses {
  /** @param {import('./truth.js').Truth} truth @param {() => number} clock */
  constructor(truth, clock = Date.now) {
    this.truth = truth;
    this.clock = clock;
    /** @type {Loss[]} */
    this.list = [];
    /** When the log came back, too. */
    this.logSince = () => 0;
  }

  /** @param {import('./stage.js').Server} server @param {string} reason @param {number} [from] */
  begin(server, reason, from = this.clock() - 1000) {
    const loss = { server, reason, from, to: Infinity, over: false };
    this.list.push(loss);
    return loss;
  }

  /** Whether a server may still be judging it. @param {Loss} loss @param {number} patience */
  open(loss, patience) {
    if (loss.over) return false;
    if (loss.to === Infinity) return true;
    const since = Math.max(loss.to, loss.server.backSince, this.logSince()) + SLACK;
    if (this.clock() > since + SELDOM) loss.over = true;
    return this.clock() <= since + patience;
  }

  /**
   * "A gap is declared when it is sure that nothing more comes": what a page may lack until then.
   * @param {string} server @param {import('./truth.js').Series} series @param {number} acknowledged
   */
  pending(server, series, acknowledged) {
    const patience = series.object.__name__ === 'seldom' ? SELDOM : JUDGED;
    return this.list.some(l => l.server.name === server && within(l, acknowledged) && this.open(l, patience));
  }

  /**
   * "A series that began and ended within what a server has lost is not known there, so no gap can name it."
   * @param {string} server @param {import('./truth.js').Series} series
   */
  unknown(server, series) {
    return this.list.some(
      l =>
        l.server.name === server && within(l, series.firstAcknowledged) && within(l, series.lastAcknowledged),
    );
  }

  /**
   * "a writer that is later than any was in the last day is where this ends"; HTTP.md, of a source: "Where a source's
   * have gone back in the last ten minutes, its gaps begin earlier by that".
   * @param {string} server @param {import('./truth.js').Sample} sample
   */
  later(server, sample) {
    return sample.tries.some(({ by, late, state, endAt }) => {
      const loss = this.list.find(l => l.server.name === server && within(l, endAt));
      if (!loss || state !== 'acknowledged' || late <= 0) return false;
      const since = by === '' ? -Infinity : loss.from - 600_000;
      return !this.truth.lates.some(
        x => x.by === by && x.at >= since && x.at < loss.from && x.late >= late - 1000,
      );
    });
  }

  /**
   * What may be missing without a gap.
   * @param {string} server @param {import('./truth.js').Series} series @param {number} acknowledged
   * @param {import('./truth.js').Sample} [sample]
   */
  excuse(server, series, acknowledged, sample) {
    return (
      this.pending(server, series, acknowledged) ||
      this.unknown(server, series) ||
      (sample !== undefined && this.later(server, sample))
    );
  }

  /**
   * "Until then the rooms of that server tell no position that a page could resume from on another one"; `lost`:
   * "while a loss of the log is being judged".
   */
  judging() {
    return this.list.some(l => this.open(l, SELDOM));
  }

  /** @param {number} acknowledged */
  trimmed(acknowledged) {
    return this.list.some(l => l.reason === 'log_trimmed' && within(l, acknowledged));
  }
}

/** @param {Loss} loss @param {number} acknowledged */
const within = ({ from, to }, acknowledged) => acknowledged >= from && acknowledged <= to;
