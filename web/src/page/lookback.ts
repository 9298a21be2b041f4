import type { LiveClient } from '../live/client.ts';
import type { LastSample } from '../model/absence.ts';
import { type Unit, unitOf } from '../model/format.ts';
import { NAME } from '../model/labels.ts';
import { lastSample, Past } from '../model/past.ts';
import type { HistoryAck } from '../model/wire.ts';

/** Spans that are searched for a last sample, one after the other, seconds. */
const SEARCHED: readonly number[] = [3_600, 86_400, 2_592_000];

/** Values that are asked for of each series: only the last one is looked at. */
const POINTS = 8;

/** The searches of a page go one after the other: a page of many charts would ask more at once than a server allows. */
let last: Promise<unknown> = Promise.resolve();

/** The last sample of `query` at `to` or before, Unix ms; null where there is none, or where nobody can say. */
export function lookBack(
  client: LiveClient,
  query: string,
  to: number,
  unit: Unit | null,
): Promise<LastSample | null> {
  const found = last.then(() => search(client, query, to, unit));
  last = found;
  return found;
}

async function search(
  client: LiveClient,
  query: string,
  to: number,
  unit: Unit | null,
): Promise<LastSample | null> {
  for (const span of SEARCHED) {
    const request = { query, from: to - 1000 * span, to, points: POINTS };
    const answer = await new Promise<HistoryAck>(resolve => client.history(request, resolve));
    if (!answer.ok) return null;
    const last = lastSample(new Past(answer).lines);
    if (last) {
      const { time, value, line } = last;
      return { time, value, unit: unit ?? unitOf(line.labels[NAME] ?? '') };
    }
  }
  return null;
}
