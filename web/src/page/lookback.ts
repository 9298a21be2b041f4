import type { LiveClient } from '../live/client.ts';
import type { LastSample } from '../model/absence.ts';
import { type Unit, unitOf } from '../model/format.ts';
import { NAME } from '../model/labels.ts';
import { lastSample, Past } from '../model/past.ts';
import type { HistoryAck } from '../model/wire.ts';

/** Spans that are searched for a last sample, one after the other, seconds. */
const SEARCHED: readonly number[] = [3_600, 86_400, 2_592_000];

/** Values of each series that are asked for where only the last is looked at, and where its time is to be told from others. */
const FEW = 8;
const SOME = 400;

/** How exactly a time is known, ms. */
const EXACT = 1_000;

/** The searches of a page go one after the other: a page of many charts would ask more at once than a server allows. */
let last: Promise<unknown> = Promise.resolve();

/** The last sample of `query` at `to` or before, Unix ms; null where there is none, undefined where the server did not say. */
export function lookBack(
  client: LiveClient,
  query: string,
  to: number,
  unit: Unit | null,
): Promise<LastSample | null | undefined> {
  const found = last.then(() => search(client, query, to, unit));
  last = found;
  return found;
}

async function search(
  client: LiveClient,
  query: string,
  to: number,
  unit: Unit | null,
): Promise<LastSample | null | undefined> {
  const ask = async (from: number, end: number, points: number) => {
    const request = { query, from, to: end, points };
    const answer = await new Promise<HistoryAck>(resolve => client.history(request, resolve));
    return answer.ok ? lastSample(new Past(answer).lines) : undefined;
  };
  for (const span of SEARCHED) {
    let last = await ask(to - 1000 * span, to, FEW);
    // Of folded samples only the column is known: it is looked into, until the time is.
    for (let step = stepOf(last); last && step > EXACT; step = stepOf(last)) {
      const from = Math.floor(last.time / step) * step;
      last = await ask(from, Math.min(from + step - 1, to), SOME);
    }
    if (last === undefined) return undefined;
    if (last) {
      const { time, value, line } = last;
      return { time, value, unit: unit ?? unitOf(line.labels[NAME] ?? '') };
    }
  }
  return null;
}

/** The width of the columns that a sample was folded into, ms; 0 for one that is as it came. */
function stepOf(last: ReturnType<typeof lastSample> | undefined): number {
  return last?.line.columns?.step ?? 0;
}
