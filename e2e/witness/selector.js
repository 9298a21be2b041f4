// PromQL selectors that the witness can evaluate by itself.

/** @typedef {['=' | '!=' | '=~' | '!~', string, string]} Matcher operator, label, value */

/** @param {string} s */
const quoted = s => `"${s.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t')}"`;

export class Selector {
  /** @param {string} name the metric's, or '' for none @param {Matcher[]} matchers */
  constructor(name, matchers = []) {
    this.name = name;
    this.matchers = matchers;
    const inner = matchers.map(([op, label, value]) => `${label}${op}${quoted(value)}`);
    this.text = name + (inner.length > 0 ? `{${inner.join(',')}}` : '');
    /** The same selector, spelt in another way. */
    this.other = `{ ${[...inner]
      .reverse()
      .concat(name ? [`__name__=${quoted(name)}`] : [])
      .join(' , ')} }`;
    /** @type {((labels: Record<string, string>) => boolean)[]} */
    this.tests = matchers.map(([op, label, value]) => {
      // Regular expressions are anchored, and an absent label is an empty one.
      const pattern = op.endsWith('~') ? new RegExp(`^(?:${value})$`, 'su') : null;
      return labels => {
        const have = labels[label] ?? '';
        const equal = pattern ? pattern.test(have) : have === value;
        return op[0] === '!' ? !equal : equal;
      };
    });
    /** @type {Map<string, boolean>} */
    this.known = new Map();
  }

  /** @param {import('./truth.js').Series} series */
  matches(series) {
    let answer = this.known.get(series.key);
    if (answer === undefined) {
      answer =
        (!this.name || series.object.__name__ === this.name) && this.tests.every(test => test(series.object));
      this.known.set(series.key, answer);
    }
    return answer;
  }
}
