import { quote } from './labels.ts';

/** One chart of the page: what it is called and which series it shows. */
export interface Panel {
  /** Unique on the page. */
  readonly id: string;
  readonly title: string;
  readonly query: string;
  /** The one on top, larger than the others. */
  readonly hero: boolean;
  /** The metric without which the chart is not shown, because not every machine has it; null: always shown. */
  readonly onlyWith: string | null;
}

interface Template {
  readonly id: string;
  readonly title: string;
  /** The metric's name, or a regular expression over names. */
  readonly name: string | { readonly pattern: string };
  readonly matchers?: readonly string[];
  /** Shows one host only: with several, its lines would be too many to read. */
  readonly singleHost?: boolean;
  /** Shown only where there are such series. */
  readonly optional?: boolean;
}

/** A host's vitals, in the order in which one looks at them. */
const TEMPLATES: readonly Template[] = [
  { id: 'cpu', title: 'CPU', name: 'cpu_usage_percent', matchers: ['cpu="total"'] },
  {
    id: 'cores',
    title: 'CPU by core',
    name: 'cpu_usage_percent',
    matchers: ['cpu!="total"'],
    singleHost: true,
  },
  {
    id: 'memory',
    title: 'Memory',
    name: {
      pattern:
        'memory_used_bytes|memory_available_bytes|memory_cached_bytes|memory_total_bytes|swap_used_bytes',
    },
  },
  { id: 'load', title: 'Load', name: { pattern: 'load1|load5|load15' } },
  { id: 'disk', title: 'Disk', name: { pattern: 'disk_(read|write)_bytes_per_second' } },
  { id: 'network', title: 'Network', name: { pattern: 'network_(receive|transmit)_bytes_per_second' } },
  // Below: what explains the vitals. Idle is left out, or it would press the other modes to the bottom.
  {
    id: 'modes',
    title: 'CPU by mode',
    name: 'cpu_mode_percent',
    matchers: ['mode!="idle"'],
    singleHost: true,
    optional: true,
  },
  { id: 'pressure', title: 'Pressure', name: 'pressure_some_percent', singleHost: true, optional: true },
  { id: 'busy', title: 'Disk busy', name: 'disk_busy_percent', singleHost: true, optional: true },
  {
    id: 'filesystems',
    title: 'Filesystems',
    name: 'filesystem_used_percent',
    singleHost: true,
    optional: true,
  },
  { id: 'temperature', title: 'Temperature', name: 'temperature_celsius', singleHost: true, optional: true },
];

/**
 * The charts of the page: the link's own queries if it has any, else the vitals of `host`, or of all hosts
 * where it is null. `known` are the hosts seen so far; the first stands in where a chart shows one only.
 */
export function panels(charts: readonly string[], host: string | null, known: readonly string[]): Panel[] {
  if (charts.length > 0) {
    return charts.map((query, i) => ({
      id: `chart-${i}`,
      title: query,
      query,
      hero: i === 0,
      onlyWith: null,
    }));
  }
  const single = host ?? (known.length > 1 ? known[0]! : null);
  return TEMPLATES.map((template, i) => ({
    id: template.id,
    title: template.singleHost && single !== host ? `${template.title} · ${single}` : template.title,
    query: selector(template, template.singleHost ? single : host),
    hero: i === 0,
    onlyWith: template.optional && typeof template.name === 'string' ? template.name : null,
  }));
}

/** Writes a template as a PromQL selector. */
function selector(template: Template, host: string | null): string {
  const { name, matchers = [] } = template;
  const all = [...matchers, ...(host === null ? [] : [`host=${quote(host)}`])];
  if (typeof name !== 'string') all.unshift(`__name__=~${quote(name.pattern)}`);
  const metric = typeof name === 'string' ? name : '';
  return all.length > 0 ? `${metric}{${all.join(',')}}` : metric;
}
