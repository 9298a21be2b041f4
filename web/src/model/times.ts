import * as texts from '../texts.ts';
import { formatTime } from './format.ts';

/** Windows below this show milliseconds, ms: more than one sample may stand in a second. */
const FINE_BELOW = 30_000;

/** A day in the browser's zone: "27 Nov". */
function dayText(ms: number): string {
  const date = new Date(ms);
  return `${date.getDate()} ${texts.MONTHS[date.getMonth()]}`;
}

function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** The distance of the zone's time from UTC, "+1", "+5:30". */
export function offsetText(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? '−' : '+'}${hours}${rest === 0 ? '' : `:${String(rest).padStart(2, '0')}`}`;
}

/**
 * A moment on a chart that shows `from` to `to`: with its date where that is not the day of `to`, with milliseconds where
 * the chart is so short, and with the zone's offset where that changes on the chart, because an hour is there twice then.
 */
export function momentText(time: number, from: number, to: number): string {
  const clock = formatTime(time, to - from < FINE_BELOW);
  const day = sameDay(time, to) && sameDay(from, to) ? '' : `${dayText(time)} `;
  const offset = new Date(from).getTimezoneOffset() === new Date(to).getTimezoneOffset();
  return `${day}${clock}${offset ? '' : ` ${offsetText(time)}`}`;
}

/** A stretch of time: "19:40:10 – 19:41:50", with its day where that is not the day of `now`. */
export function stretchText(from: number, to: number, now: number): string {
  const fine = to - from < FINE_BELOW;
  const day = sameDay(from, now) && sameDay(to, now) ? '' : `${dayText(from)} `;
  const second = sameDay(from, to) ? '' : `${dayText(to)} `;
  return `${day}${formatTime(from, fine)} – ${second}${formatTime(to, fine)}`;
}

/** When something began that still is so at `now`: with its day where that is another one. */
export function sinceText(time: number, now: number): string {
  return sameDay(time, now) ? formatTime(time) : `${dayText(time)} ${formatTime(time)}`;
}
