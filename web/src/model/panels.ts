import * as texts from '../texts.ts';
import { type Card, OWN } from './cards.ts';
import { isCollected } from './collected.ts';
import type { Form } from './form.ts';
import type { Unit } from './format.ts';
import { byKey, NAME, quote } from './labels.ts';
import { type Limits, NO_LIMITS } from './limits.ts';
import { metricTitle, queryTitle } from './naming.ts';
import { compile, nameSelector, ofHost, ofLabel, parseSelector } from './selector.ts';
import type { Labels } from './wire.ts';

/** One chart of the page: what it is called and which series it shows. */
export interface Panel {
  /** Unique on the page. */
  readonly id: string;
  readonly title: string;
  /** What it shows in the server's words, where the title says it otherwise; may be empty. */
  readonly subtitle: string;
  readonly query: string;
  /** Of all its values; null where the metrics' names tell it. */
  readonly unit: Unit | null;
  readonly limits: Limits;
  readonly form: Form;
  /** The first one that was chosen, larger than the others. */
  readonly hero: boolean;
  /** The entry of the view that it comes from; null for a chart that came by itself. */
  readonly card: Card | null;
  /** Its metrics in the order in which their lines stand; empty where that is left to their names. */
  readonly order: readonly string[];
  /** The only metric that it shows, where there is just one. */
  readonly metric: string | null;
  /** Whether it is one of the page's own: then it is there before its series are. */
  readonly vital: boolean;
}

interface Template {
  readonly id: keyof typeof texts.VITALS;
  /** The metrics' names. */
  readonly names: readonly string[];
  readonly matchers?: readonly string[];
  /** The metrics' names where it shows several hosts: one line for each of them can be read, five cannot. */
  readonly total?: readonly string[];
  /** Shows one host only: with several, its lines would be too many to read. */
  readonly singleHost?: boolean;
  /** How one host's lines are drawn; those of several are lines. */
  readonly form?: Form;
  /** Shown only where there are such series. */
  readonly optional?: boolean;
}

/** A host's vitals, in the order in which one looks at them. */
const TEMPLATES: readonly Template[] = [
  { id: 'cpu', names: ['cpu_usage_percent'], matchers: ['cpu="total"'] },
  {
    id: 'cores',
    names: ['cpu_usage_percent'],
    matchers: ['cpu!="total"'],
    singleHost: true,
  },
  {
    id: 'memory',
    names: ['memory_used_bytes', 'memory_cached_bytes', 'memory_total_bytes', 'swap_used_bytes'],
    total: ['memory_used_bytes'],
    form: 'stack',
  },
  { id: 'load', names: ['load1', 'load5', 'load15'], total: ['load1'] },
  { id: 'disk', names: ['disk_read_bytes_per_second', 'disk_write_bytes_per_second'], form: 'mirror' },
  {
    id: 'network',
    names: ['network_receive_bytes_per_second', 'network_transmit_bytes_per_second'],
    form: 'mirror',
  },
  // Below: what explains the vitals. Idle is left out, or it would press the other modes to the bottom.
  {
    id: 'modes',
    names: ['cpu_mode_percent'],
    matchers: ['mode!="idle"'],
    form: 'stack',
    singleHost: true,
    optional: true,
  },
  { id: 'pressure', names: ['pressure_some_percent'], singleHost: true, optional: true },
  { id: 'busy', names: ['disk_busy_percent'], singleHost: true, optional: true },
  {
    id: 'filesystems',
    names: ['filesystem_used_percent'],
    singleHost: true,
    optional: true,
  },
  {
    id: 'temperature',
    names: ['temperature_celsius'],
    singleHost: true,
    optional: true,
  },
];

/** Charts that come by themselves; what is more is found by the search. */
const MOST_OWN = 12;

/** The page as it is until somebody changes it: what is one's own first, then the host's vitals. */
export const STANDARD: readonly Card[] = [OWN, ...TEMPLATES.map(({ id }) => `.${id}`)].map(query => ({
  id: query.slice(1),
  query,
  title: null,
  unit: null,
  limits: NO_LIMITS,
  form: null,
  by: null,
}));

/** What is known when the charts are laid out. */
export interface Situation {
  /** The chosen host, null for all. */
  readonly host: string | null;
  /** The hosts seen so far; the first stands in where a chart shows one only. */
  readonly hosts: readonly string[];
  /** The series that there are. */
  readonly series: readonly Labels[];
}

/** The charts of a view, and how many metrics have no chart because there are too many of them. */
export function layOut(
  cards: readonly Card[],
  hidden: readonly string[],
  situation: Situation,
): { readonly panels: readonly Panel[]; readonly more: number } {
  const placed = cards.map(card => (card.query === OWN ? [] : panelsOf(card, situation)));
  const shown = placed.flat();
  const own = cards.some(card => card.query === OWN) ? ownMetrics(shown, hidden, situation) : [];
  const charts = own.slice(0, MOST_OWN).map(name => ownPanel(name, situation.host));
  const panels = cards.flatMap((card, i) => (card.query === OWN ? charts : placed[i]!));
  const hero = Math.max(
    0,
    panels.findIndex(panel => panel.card !== null),
  );
  return {
    panels: panels.map((panel, i) => (i === hero ? { ...panel, hero: true } : panel)),
    more: Math.max(0, own.length - MOST_OWN),
  };
}

/** Whether a title says the same already. */
function isSaid(query: string, title: string): boolean {
  return query.toLowerCase() === title.toLowerCase();
}

/** The charts of a card: one, or one for each value of its label that there is. */
function panelsOf(card: Card, situation: Situation): Panel[] {
  const panel = panelOf(card, situation);
  if (!panel) return [];
  const { by } = card;
  const matchers = by === null ? null : parseSelector(panel.query);
  if (by === null || !matchers) return [panel];
  const values = new Set(situation.series.filter(compile(matchers)).map(labels => labels[by] ?? ''));
  if (values.size === 0) return [panel];
  return [...values]
    .sort(byKey)
    .slice(0, MOST_OWN)
    .map(value => ({
      ...panel,
      id: `${panel.id}-${encodeURIComponent(value)}`,
      title: [panel.title, value].filter(Boolean).join(' · '),
      query: ofLabel(panel.query, by, value),
    }));
}

/** The chart of a card; null where there is nothing for it, or no such chart. */
function panelOf(card: Card, { host, hosts, series }: Situation): Panel | null {
  const common = {
    id: card.id,
    unit: card.unit,
    limits: card.limits,
    form: card.form ?? 'lines',
    order: [],
    hero: false,
    card,
  };
  if (!card.query.startsWith('.')) {
    const title = card.title ?? queryTitle(card.query);
    const name = parseSelector(nameOrSelector(card.query, series));
    return {
      ...common,
      title,
      subtitle: isSaid(card.query, title) ? '' : card.query,
      query: ofHost(nameOrSelector(card.query, series), host),
      metric: name?.find(m => m.label === NAME && m.operator === '=')?.value ?? null,
      vital: false,
    };
  }
  const template = TEMPLATES.find(({ id }) => `.${id}` === card.query);
  if (!template) return null;
  const single = template.singleHost ? (host ?? (hosts.length > 1 ? hosts[0]! : null)) : host;
  const isThere = (labels: Labels) =>
    template.names.includes(labels[NAME] ?? '') && (single === null || labels.host === single);
  if (template.optional && !series.some(isThere)) return null;
  // A server that measures no machine needs no charts of one.
  if (series.length > 0 && !series.some(isCollected)) return null;
  const title = card.title ?? texts.VITALS[template.id];
  const several = single === null && hosts.length > 1;
  return {
    ...common,
    order: template.names,
    form: card.form ?? (several && template.form === 'stack' ? 'lines' : (template.form ?? 'lines')),
    title: template.singleHost && single !== host ? `${title} · ${single}` : title,
    subtitle: '',
    query: selector(several ? (template.total ?? template.names) : template.names, template.matchers, single),
    metric: null,
    vital: true,
  };
}

/** Some metrics have names that are no selectors, http.requests: they may be written as they are where there is one. */
function nameOrSelector(query: string, series: readonly Labels[]): string {
  const isName = parseSelector(query) === null && series.some(labels => labels[NAME] === query);
  return isName ? nameSelector(query) : query;
}

/** The metrics that a chart of their own stands for: neither is there another one, nor are they of the collector. */
function ownMetrics(
  shown: readonly Panel[],
  hidden: readonly string[],
  { host, series }: Situation,
): string[] {
  const without = new Set(hidden);
  const selects = shown.map(({ query }) => compile(parseSelector(query) ?? NOTHING));
  const names = new Set<string>();
  for (const labels of series) {
    const name = labels[NAME] ?? '';
    if (names.has(name) || without.has(name)) continue;
    if (isCollected(labels)) continue;
    if (host !== null && labels.host !== undefined && labels.host !== host) continue;
    if (!selects.some(selects => selects(labels))) names.add(name);
  }
  return [...names];
}

const NOTHING = [{ label: NAME, operator: '=', value: '' }] as const;

function ownPanel(name: string, host: string | null): Panel {
  const title = metricTitle(name);
  return {
    id: `own-${encodeURIComponent(name)}`,
    title,
    subtitle: isSaid(name, title) ? '' : name,
    query: ofHost(nameSelector(name), host),
    unit: null,
    limits: NO_LIMITS,
    form: 'lines',
    order: [],
    hero: false,
    card: null,
    metric: name,
    vital: false,
  };
}

/** Writes a template as a PromQL selector. */
function selector(names: readonly string[], matchers: readonly string[] = [], host: string | null): string {
  const all = [...matchers, ...(host === null ? [] : [`host=${quote(host)}`])];
  if (names.length > 1) all.unshift(`__name__=~${quote(names.join('|'))}`);
  const metric = names.length > 1 ? '' : names[0]!;
  return all.length > 0 ? `${metric}{${all.join(',')}}` : metric;
}
