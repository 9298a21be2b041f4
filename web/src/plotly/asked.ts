/** What the link of /plotly asks for: `?query=load1&window=15m&title=Load&unit=%&theme=dark`. */
export interface Asked {
  /** A selector; null for the server's default series. */
  readonly query: string | null;
  /** Seconds. */
  readonly window: number;
  readonly title: string;
  /** Of the value axis; may be empty. */
  readonly unit: string;
  /** null: as the system has it. */
  readonly dark: boolean | null;
}

/** The series of the default, docs/PROTOCOL.md: asked for by itself where another window is wanted than the server's. */
const DEFAULT = 'cpu_usage_percent{cpu="total"}';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Units by the ends of metrics' names. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_percent\b/, '%'],
  [/_bytes_per_second\b/, 'B/s'],
  [/_bytes\b/, 'B'],
  [/_ms\b|_milliseconds\b/, 'ms'],
  [/_seconds\b/, 's'],
  [/_celsius\b/, '°C'],
];

/** Reads a link; `window` is the server's, seconds. */
export function readAsked(search: string, window: number): Asked {
  const params = new URLSearchParams(search);
  const [, count = '', unit = 's'] = /^(\d{1,7})([smhd]?)$/.exec(params.get('window') ?? '') ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? 1);
  const chosen = seconds >= 1 && seconds <= 2_592_000 ? seconds : null;
  const query = params.get('query') || (chosen !== null && chosen !== window ? DEFAULT : null);
  const subject = query ?? DEFAULT;
  const theme = params.get('theme');
  return {
    query,
    window: chosen ?? window,
    title: params.get('title') || (query ?? ''),
    unit: params.get('unit') ?? UNITS.find(([end]) => end.test(subject))?.[1] ?? '',
    dark: theme === 'dark' ? true : theme === 'light' ? false : null,
  };
}
