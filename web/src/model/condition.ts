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
  // The server knows of no pauses: of what has no steady rhythm the page judges by itself.
  if (state === 'stale' && steady && (interval > 0 || silent))
    return { text: `stale since ${sinceText(since, now)}`, fault: true };
  if (silent) return { text: `stale since ${sinceText(newest, now)}`, fault: true };
  if (state === 'not_stored') return { text: 'shown, not recorded: the server’s disk is full', fault: true };
  if (patience === Number.POSITIVE_INFINITY && now - newest > OLD)
    return { text: `last sample ${sinceText(newest, now)}`, fault: false };
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
      return { kind: 'stopped', title: 'refused', detail: facts.connection.message };
    case 'outdated':
      return {
        kind: 'stopped',
        title: 'page is outdated',
        detail: 'reload it to get the one of this server',
      };
    case 'connecting':
      return { kind: 'connecting', title: 'connecting…', detail: '' };
    case 'restarting':
      if (isAway(facts)) return awayCondition(facts);
      return {
        kind: 'lost',
        title: 'server is restarting',
        detail: seen ? `newest sample ${formatAge(age)} ago` : '',
      };
    case 'lost':
      if (isAway(facts)) return awayCondition(facts);
      return {
        kind: 'lost',
        title: 'reconnecting…',
        detail: seen ? `newest sample ${formatAge(age)} ago` : '',
      };
    case 'open':
  }
  if (facts.refused)
    return {
      kind: 'waiting',
      title: 'nothing to show',
      detail: 'the server refused every chart of this page',
    };
  if (!facts.joined) return { kind: 'connecting', title: 'connecting…', detail: '' };
  if (!seen) return { kind: 'waiting', title: 'waiting for the first sample', detail: '' };
  if (age > facts.patience)
    return { kind: 'stale', title: 'stale', detail: `since ${sinceText(facts.newest, facts.now)}` };
  // A word is enough while samples come as they should.
  const detail = age > Math.max(QUIET, 2 * facts.interval) ? `newest sample ${formatAge(age)} ago` : '';
  if (facts.notStored)
    return {
      kind: 'not-recorded',
      title: 'live, not recorded',
      detail: ['the server’s disk is full', detail].filter(Boolean).join(' · '),
    };
  const { silent, hosts } = facts;
  const who = silent > 0 ? `${silent} of ${hosts} ${hosts === 1 ? 'host' : 'hosts'} silent` : detail;
  return { kind: 'live', title: 'live', detail: who };
}

function isAway({ lostSince, now }: Facts): boolean {
  return lostSince !== null && now - lostSince > AWAY;
}

function awayCondition({ lostSince, now }: Facts): Condition {
  const detail = `since ${sinceText(lostSince!, now)} · tried again every few seconds`;
  return { kind: 'lost', title: 'no server', detail };
}
