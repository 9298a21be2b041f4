import type { Malformed, Subscription } from '../live/client.ts';
import type { Condition } from '../model/condition.ts';
import type { Line } from '../model/line.ts';
import type { Labels } from '../model/wire.ts';
import type { Page } from './page.ts';
import type { View } from './view.ts';

/** What the page holds of one series. */
export interface SeriesDump {
  readonly labels: Labels;
  /** Distance of samples in ms, 0 while unknown. */
  readonly interval: number;
  /** Width of the columns in ms that the samples were folded into; null where each is held as it came. */
  readonly step: number | null;
  /** Times in Unix ms and values, ascending. Of a folded series, four values a column: first, min, max, last. */
  readonly data: readonly [readonly number[], readonly number[]];
}

/** What the page holds of one room. */
export interface RoomDump {
  readonly query: string;
  /** Seconds. */
  readonly window: number;
  readonly position: string | null;
  readonly state: string;
  /** Why the server refused the room, or null. */
  readonly problem: string | null;
  /** Rows of messages that were left out because the server never said which series they belong to. */
  readonly unknown: number;
  readonly series: readonly SeriesDump[];
  readonly gaps: readonly { readonly from: number; readonly to: number; readonly reason: string }[];
}

/** What a chart shows. */
export interface ChartDump {
  readonly query: string;
  /** Unix ms; of a chart that is live, those of now. */
  readonly from: number;
  readonly to: number;
  readonly live: boolean;
  /** Whether some of it is on its way. */
  readonly reading: boolean;
  /** When its recording began, Unix ms, where that is on the paper. */
  readonly began: number | null;
  /** The time at which its crosshair stands, Unix ms; null for nowhere. */
  readonly crosshair: number | null;
  readonly series: readonly SeriesDump[];
}

/**
 * `window.stripchart`: a look into the page from the browser's console, and for tests of the whole. It only
 * reads: what it returns are copies.
 */
export interface Debug {
  rooms(): RoomDump[];
  charts(): ChartDump[];
  condition(): Condition;
  /** The server's clock as the page knows it, Unix ms; NaN before the first message. */
  now(): number;
  /** Messages that broke the protocol and were dropped, and what was wrong with the last. */
  malformed(): Malformed;
}

declare global {
  interface Window {
    stripchart: Debug;
  }
}

export function exposeDebug(page: Page): void {
  window.stripchart = Object.freeze<Debug>({
    rooms: () => [...page.views()].map(view => dumpRoom(view.subscription)),
    charts: () => [...page.views()].map(view => dumpChart(page, view)),
    condition: () => page.condition.value,
    now: () => page.clock.now(),
    malformed: () => page.client.malformed,
  });
}

function dumpChart(page: Page, view: View): ChartDump {
  return {
    query: view.panel.query,
    ...page.time.at(page.clock.now()),
    live: page.time.fixed.value === null,
    reading: view.reading,
    began: view.began,
    crosshair: view.crosshair,
    series: view.lines.map(dumpSeries),
  };
}

function dumpRoom({ room, problem }: Subscription): RoomDump {
  return {
    query: room.query,
    window: room.extent.window / 1000,
    position: room.position,
    state: room.state,
    problem: problem?.message ?? null,
    unknown: room.unknown,
    series: room.lines.map(dumpSeries),
    gaps: room.lines.flatMap(line => line.gaps),
  };
}

function dumpSeries(line: Line): SeriesDump {
  const t: number[] = [];
  const v: number[] = [];
  const { samples, columns } = line;
  for (let i = 0; samples && i < samples.length; i++) {
    t.push(samples.time(i));
    v.push(samples.value(i));
  }
  columns?.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, k => {
    for (const which of [0, 1, 2, 3] as const) {
      t.push((k + which / 4) * columns.step);
      v.push(columns.value(k, which));
    }
  });
  return { labels: line.labels, interval: line.interval, step: columns?.step ?? null, data: [t, v] };
}
