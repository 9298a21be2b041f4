import { suffixOf } from './format.ts';
import { NAME } from './labels.ts';
import { parseSelector } from './selector.ts';

/** Words of metric names that are written in capitals. */
const CAPITALS: ReadonlySet<string> = new Set([
  'cpu',
  'gpu',
  'ram',
  'io',
  'http',
  'tcp',
  'udp',
  'dns',
  'co2',
]);

/** What a metric is called for people: "Room" for room_celsius, whose unit stands at its values. */
export function metricTitle(name: string): string {
  const suffix = suffixOf(name);
  const bare = suffix !== '' && name.length > suffix.length ? name.slice(0, -suffix.length) : name;
  const words = bare
    .split(/[_.:\s]+/)
    .filter(Boolean)
    .map(word => (CAPITALS.has(word) ? word.toUpperCase() : word));
  const title = words.join(' ');
  return title === '' ? name : title[0]!.toUpperCase() + title.slice(1);
}

/** What a chart of `query` is called where nobody has named it. */
export function queryTitle(query: string): string {
  const matchers = parseSelector(query);
  const name = matchers?.find(m => m.label === NAME && m.operator === '=');
  if (!matchers || !name) return query;
  const values = matchers.filter(m => m !== name && m.operator === '=' && m.value !== '').map(m => m.value);
  return [metricTitle(name.value), ...values].join(' · ');
}
