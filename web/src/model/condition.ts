import * as texts from '../texts.ts';
import { formatAge } from './format.ts';
import { sinceText } from './times.ts';
import type { RoomState } from './wire.ts';

/** Where the connection stands. `outdated`: the server speaks a newer protocol than this page. */
export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'restarting' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'outdated' };

/** What the page's state is judged by. Times in Unix ms by the server's clock. */
export interface Facts {
  readonly connection: Connection;
  /** Whether the history of at least one room is here. */
  readonly joined: boolean;
  /** Time of the newest sample of all rooms, -Infinity while there is none. */
  readonly newest: number;
  /** Distance of samples in ms of the fastest series, 0 while unknown. */
  readonly interval: number;
  /** How long that series may be silent, ms. */
  readonly patience: number;
  /** Since when there is no connection; null while there is one. */
  readonly lostSince: number | null;
  /** How many hosts there are, and how many of them have fallen silent. */
  readonly hosts: number;
  readonly silent: number;
  /** Whether the server has refused every chart. */
  readonly refused: boolean;
  /** Whether the server says that samples are not being recorded. */
  readonly notStored: boolean;
  readonly now: number;
}

/** The page's state: what a glance should tell, and what a screen reader announces when it changes. */
export interface Condition {
  readonly kind: 'connecting' | 'waiting' | 'live' | 'not-recorded' | 'stale' | 'lost' | 'stopped';
  /** A word or two, the same as long as the state is the same. */
  readonly title: string;
  /** What changes all the time, such as an age, or what to do; may be empty. */
  readonly detail: string;
}

/** What a chart's state is judged by: its `model/room.ts`. */
export interface ChartFacts {
  readonly state: RoomState;
  /** Since when the server has it so, Unix ms. */
  readonly since: number;
  readonly newest: number;
  readonly interval: number;
  /** How long it may be silent before that is an outage, ms. */
  readonly patience: number;
  /** Whether it comes in a promised rhythm. */
  readonly steady: boolean;
}

/** A last sample's time is told where it is older than this and nothing says whether that is an outage, ms. */
const OLD = 10_000;

/** What is to be said at a chart of its state. `fault`: it is not as it should be. */
export interface ChartState {
  readonly text: string;
  readonly fault: boolean;
}

const AS_IT_SHOULD: ChartState = { text: '', fault: false };

/**
 * Judges the state of a chart. A server that is away, or whose bus is, may say nothing: so the page judges by the newest
 * sample, too.
 */
export function chartState(facts: ChartFacts, now: number): ChartState {
  const { state, since, newest, interval, patience, steady } = facts;
  if (!Number.isFinite(newest)) return AS_IT_SHOULD;
  const silent = now - newest > patience;
  // The server judges by the interval alone, so for a series without a steady rhythm the page ignores it.
  if (state === 'stale' && steady && (interval > 0 || silent))
    return { text: texts.staleSince(sinceText(since, now)), fault: true };
  if (silent) return { text: texts.staleSince(sinceText(newest, now)), fault: true };
  if (state === 'not_stored') return { text: texts.SHOWN_ONLY, fault: true };
  if (patience === Number.POSITIVE_INFINITY && now - newest > OLD)
    return { text: texts.lastSample(sinceText(newest, now)), fault: false };
  return AS_IT_SHOULD;
}

/** The newest sample's age is not told below this, ms. */
const QUIET = 2_000;

/** How long a connection may be away before one should not wait for it any more, ms. */
const AWAY = 10_000;

/** Judges the state of the page: the gravest thing that is so. */
export function condition(facts: Facts): Condition {
  const seen = Number.isFinite(facts.newest);
  const age = facts.now - facts.newest;
  switch (facts.connection.kind) {
    case 'refused':
      return { kind: 'stopped', title: texts.REFUSED, detail: facts.connection.message };
    case 'outdated':
      return {
        kind: 'stopped',
        title: texts.OUTDATED,
        detail: texts.RELOAD,
      };
    case 'connecting':
      if (isAway(facts)) return awayCondition(facts);
      return { kind: 'connecting', title: texts.CONNECTING, detail: '' };
    case 'restarting':
      if (isAway(facts)) return awayCondition(facts);
      return {
        kind: 'lost',
        title: texts.RESTARTING,
        detail: seen ? texts.newestSample(formatAge(age)) : '',
      };
    case 'lost':
      if (isAway(facts)) return awayCondition(facts);
      return {
        kind: 'lost',
        title: texts.RECONNECTING,
        detail: seen ? texts.newestSample(formatAge(age)) : '',
      };
    case 'open':
  }
  if (facts.refused)
    return {
      kind: 'waiting',
      title: texts.NOTHING_TO_SHOW,
      detail: texts.ALL_REFUSED,
    };
  if (!facts.joined) return { kind: 'connecting', title: texts.CONNECTING, detail: '' };
  if (!seen) return { kind: 'waiting', title: texts.WAITING, detail: '' };
  if (age > facts.patience)
    return { kind: 'stale', title: texts.STALE, detail: texts.since(sinceText(facts.newest, facts.now)) };
  // A word is enough while samples come as they should.
  const detail = age > Math.max(QUIET, 2 * facts.interval) ? texts.newestSample(formatAge(age)) : '';
  if (facts.notStored)
    return {
      kind: 'not-recorded',
      title: texts.NOT_RECORDED,
      detail: [texts.DISK_FULL, detail].filter(Boolean).join(' · '),
    };
  const { silent, hosts } = facts;
  const who = silent > 0 ? texts.silentHosts(silent, hosts) : detail;
  return { kind: 'live', title: texts.LIVE, detail: who };
}

function isAway({ lostSince, now }: Facts): boolean {
  return lostSince !== null && now - lostSince > AWAY;
}

function awayCondition({ lostSince, now }: Facts): Condition {
  const detail = texts.away(sinceText(lostSince!, now));
  return { kind: 'lost', title: texts.NO_SERVER, detail };
}

/** What the head of the page says: nothing is live in a stretch of time that stands still. Faults are told there too. */
export function told(
  condition: Condition,
  fixed: boolean,
): { readonly kind: string } & Omit<Condition, 'kind'> {
  return fixed && condition.kind === 'live' ? { ...condition, kind: 'past', title: texts.PAUSED } : condition;
}
