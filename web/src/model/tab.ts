import * as texts from '../texts.ts';
import type { Condition } from './condition.ts';
import type { Level } from './limits.ts';

/** What a tab's title tells. */
export interface Told {
  readonly condition: Condition;
  readonly paused: boolean;
  /** The chart whose values are beyond a limit, and how far; null for none. */
  readonly alarm: { readonly level: Level; readonly text: string } | null;
  /** The first value of the page; empty for none. */
  readonly reading: string;
  readonly host: string | null;
}

/** The title of the tab: what is wrong, else the first value; then whose it is. */
export function titleOf({ condition, paused, alarm, reading, host }: Told): string {
  const wrong = condition.kind !== 'live' && condition.kind !== 'connecting';
  const first = wrong
    ? condition.title
    : paused
      ? texts.PAUSED
      : alarm
        ? `${alarm.level}: ${alarm.text}`
        : reading;
  return [first, host, texts.NAME].filter(Boolean).join(' · ');
}
