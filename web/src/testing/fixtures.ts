/** A recorded message of docs/fixtures: who sends what, and what is answered. */
export interface Fixture {
  readonly namespace: string;
  readonly sender: 'client' | 'server';
  readonly event: string;
  readonly arg: Readonly<Record<string, unknown>>;
  readonly ack?: unknown;
}

const files = import.meta.glob<Fixture>('../../../docs/fixtures/*.json', { eager: true, import: 'default' });

/** All recorded messages by the names of their files, without `.json`. */
export const fixtures: ReadonlyMap<string, Fixture> = new Map(
  Object.entries(files).map(([path, fixture]) => [path.replace(/^.*\/|\.json$/g, ''), fixture]),
);

/** The recorded message `name`; fails when there is none. */
export function fixture(name: string): Fixture {
  const found = fixtures.get(name);
  if (!found) throw new Error(`docs/fixtures/${name}.json is missing`);
  return found;
}
