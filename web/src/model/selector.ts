import { NAME, quote } from './labels.ts';
import type { Labels } from './wire.ts';

/** How a matcher compares, as PromQL spells it. */
type Operator = '=' | '!=' | '=~' | '!~';

/** One condition of a selector. A label that a series does not have counts as the empty string. */
export interface Matcher {
  readonly label: string;
  readonly operator: Operator;
  readonly value: string;
}

/** A metric name that needs no quotes. */
const PLAIN_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/**
 * Reads a PromQL instant-vector selector; null where `text` is none, or uses a part of PromQL that the page does not know.
 * The server is the judge of a query: the page reads it to tell which series of the catalogue it selects.
 */
export function parseSelector(text: string): readonly Matcher[] | null {
  const rest = new Reader(text);
  const out: Matcher[] = [];
  const name = rest.take(/[a-zA-Z_:][a-zA-Z0-9_:]*/y);
  if (name !== null) out.push({ label: NAME, operator: '=', value: name });
  if (rest.take(/\{/y) !== null) {
    while (rest.take(/\}/y) === null) {
      const matcher = readMatcher(rest);
      if (!matcher) return null;
      out.push(matcher);
      if (rest.take(/,/y) === null && !rest.at('}')) return null;
    }
  }
  return rest.done && out.length > 0 ? out : null;
}

function readMatcher(rest: Reader): Matcher | null {
  const quoted = rest.string();
  const label = quoted ?? rest.take(/[a-zA-Z_][a-zA-Z0-9_]*/y);
  if (label === null) return null;
  const operator = rest.take(/=~|!~|!=|=/y) as Operator | null;
  // A string alone is the metric's name: {"http.requests"}.
  if (operator === null) return quoted === null ? null : { label: NAME, operator: '=', value: quoted };
  const value = rest.string();
  return value === null ? null : { label, operator, value };
}

/** Reads a text from left to right; blanks between its parts do not count. */
class Reader {
  readonly #text: string;
  #place = 0;

  constructor(text: string) {
    this.#text = text.trim();
  }

  get done(): boolean {
    return this.#place === this.#text.length;
  }

  at(character: string): boolean {
    return this.#text[this.#place] === character;
  }

  /** Takes what `form`, a sticky expression, finds here. */
  take(form: RegExp): string | null {
    form.lastIndex = this.#place;
    const found = form.exec(this.#text);
    if (!found) return null;
    this.#place = form.lastIndex;
    while (/\s/.test(this.#text[this.#place] ?? '')) this.#place++;
    return found[0];
  }

  string(): string | null {
    const text = this.take(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/y);
    if (text === null) return null;
    const inner = text.slice(1, -1);
    if (text[0] === '`') return inner;
    return inner.replace(/\\(.)/g, (_, c: string) => ({ n: '\n', t: '\t', r: '\r' })[c] ?? c);
  }
}

/** Returns a test of labels. What cannot be compared here, such as an expression that only Go knows, selects nothing. */
export function compile(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map(({ label, operator, value }) => {
    const compare = operator.endsWith('~') ? expression(value) : (other: string) => other === value;
    const wanted = operator.startsWith('=');
    return (labels: Labels) => compare(labels[label] ?? '') === wanted;
  });
  return labels => tests.every(test => test(labels));
}

function expression(source: string): (value: string) => boolean {
  const [, flags = '', rest = source] = /^\(\?([is]+)\)(.*)$/s.exec(source) ?? [];
  try {
    const form = new RegExp(`^(?:${rest})$`, `s${flags.includes('i') ? 'i' : ''}`);
    return value => form.test(value);
  } catch {
    return () => false;
  }
}

/** Writes matchers as PromQL does. */
export function selectorText(matchers: readonly Matcher[]): string {
  const named = matchers.find(m => m.label === NAME && m.operator === '=' && PLAIN_NAME.test(m.value));
  const others = matchers.filter(m => m !== named);
  const list = others.map(m => `${m.label}${m.operator}${quote(m.value)}`).join(',');
  return `${named?.value ?? ''}${named && list === '' ? '' : `{${list}}`}`;
}

/** The selector of all series of a metric. */
export function nameSelector(name: string): string {
  return selectorText([{ label: NAME, operator: '=', value: name }]);
}

/** Narrows a query to a value of a label; one that cannot be read stays as it is. */
export function ofLabel(query: string, label: string, value: string): string {
  const matchers = parseSelector(query);
  return matchers ? selectorText([...matchers, { label, operator: '=', value }]) : query;
}

/** The selector of one series; labels that it does not have are left open. */
export function seriesSelector(labels: Labels): string {
  const { [NAME]: name = '', ...others } = labels;
  const rest = Object.entries(others).map(([label, value]) => ({ label, operator: '=', value }) as const);
  return selectorText([{ label: NAME, operator: '=', value: name }, ...rest]);
}

/**
 * Narrows a query to a host: its series, and those that are of no host. A query that speaks of hosts itself stays as it is,
 * and one that cannot be read.
 */
export function ofHost(query: string, host: string | null): string {
  const matchers = host === null ? null : parseSelector(query);
  if (!matchers || host === null || matchers.some(m => m.label === 'host')) return query;
  const escaped = host.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
  return selectorText([...matchers, { label: 'host', operator: '=~', value: `|${escaped}` }]);
}
