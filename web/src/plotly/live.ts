/** What /plotly shows of namespace /live: docs/PROTOCOL.md has its messages. */

/** A line as Plotly takes it: times in Unix ms; a break is a null. */
export interface Trace {
  readonly name: string;
  readonly x: number[];
  readonly y: (number | null)[];
}

interface Block {
  readonly ids: readonly number[];
  readonly x?: readonly number[];
  readonly x0?: number;
  readonly step?: number;
  readonly y: readonly (readonly (number | null)[])[];
}

/** The parts of `bootstrap` and `update` that are drawn. */
export interface Message {
  readonly from?: string | null;
  readonly series?: readonly {
    readonly id: number;
    readonly labels: Readonly<Record<string, string>>;
    readonly interval_ms: number;
  }[];
  readonly blocks: readonly Block[];
}

interface Line {
  readonly name: string;
  interval: number;
  readonly samples: Map<number, number | null>;
}

/** A line is broken where two samples are more than this many intervals apart. */
const BREAK = 3;

/** The samples of a room, by series. */
export class Lines {
  readonly #lines = new Map<number, Line>();

  bootstrap(message: Message): void {
    // Only the first part of a history names its series, and only that replaces what is here.
    if (message.series && message.from === null) this.#lines.clear();
    this.update(message);
  }

  update({ series = [], blocks }: Message): void {
    for (const { id, labels, interval_ms: interval } of series) {
      const known = this.#lines.get(id);
      if (known) known.interval = interval;
      else this.#lines.set(id, { name: nameOf(labels), interval, samples: new Map() });
    }
    for (const { ids, x, x0 = 0, step = 0, y } of blocks) {
      for (const [row, id] of ids.entries()) {
        const samples = this.#lines.get(id)?.samples;
        y[row]?.forEach((value, i) => {
          const time = x ? x[i]! : x0 + (i * step) / 4;
          // The first value of a time wins; an empty column has none.
          if (samples && !samples.has(time) && (x || value !== null)) samples.set(time, value);
        });
      }
    }
  }

  /** The lines from `from` on, Unix ms; what is older is forgotten. */
  traces(from: number): Trace[] {
    return [...this.#lines.values()].map(({ name, interval, samples }) => {
      for (const time of samples.keys()) if (time < from) samples.delete(time);
      const ascending = [...samples].sort(([a], [b]) => a - b);
      return { name, ...broken(ascending, BREAK * interval || Number.POSITIVE_INFINITY) };
    });
  }
}

/** Times and values, with a null between two samples that are more than `apart` ms apart. */
export function broken(
  samples: readonly (readonly [number, number | null])[],
  apart: number,
): { x: number[]; y: (number | null)[] } {
  const x: number[] = [];
  const y: (number | null)[] = [];
  for (const [time, value] of samples) {
    const last = x.at(-1);
    if (last !== undefined && time - last > apart) {
      x.push(last + (time - last) / 2);
      y.push(null);
    }
    x.push(time);
    y.push(value);
  }
  return { x, y };
}

function nameOf({ __name__: name = '', ...labels }: Readonly<Record<string, string>>): string {
  return [name, ...Object.values(labels)].join(' ');
}
