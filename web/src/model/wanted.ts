import { type Card, OWN } from './cards.ts';
import { COLLECTED } from './collected.ts';
import { parseSelector } from './selector.ts';

/** Metrics of the collector that charts of one host are made of where there are any, and one that every host has. */
const TELLING: readonly string[] = [
  'cpu_mode_percent',
  'disk_busy_percent',
  'filesystem_used_percent',
  'load1',
  'pressure_some_percent',
  'temperature_celsius',
];

/**
 * Selectors of the series of which a page has to know that they are there: of machines as much as tells which hosts there
 * are and what is measured of them, and everything else where cards come by themselves. A server may have 10,000 others.
 * Of a card with a chart for each value of a label, all of it. None, which is all of them, where a card is no selector: it may be the name of a metric.
 */
export function wantedSeries(cards: readonly Card[]): string[] {
  if (cards.some(({ query }) => !query.startsWith('.') && parseSelector(query) === null)) return [];
  const machines = ['cpu_usage_percent{cpu="total",host!=""}', `{__name__=~"${TELLING.join('|')}",host!=""}`];
  const split = cards.filter(({ by }) => by !== null).map(({ query }) => query);
  if (!cards.some(({ query }) => query === OWN)) return [...machines, ...split];
  const collected = [...COLLECTED].join('|');
  return [
    ...machines,
    ...split,
    `{__name__=~".+",__name__!~"${collected}"}`,
    `{__name__=~"${collected}",host=""}`,
  ];
}
