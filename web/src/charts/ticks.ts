import { formatTime } from '../model/format.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Labels of a time axis: Unix ms, `step` apart. As much of the time as tells one tick from the next. */
export function timeTicks(ticks: readonly number[], step: number): string[] {
  return ticks.map(tick => {
    const clock = formatTime(tick, step < 1000);
    if (step < MINUTE) return clock;
    if (step < DAY) return clock.slice(0, 5);
    const date = new Date(tick);
    return `${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
  });
}
