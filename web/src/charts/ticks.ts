import { formatTime } from '../model/format.ts';
import { offsetText } from '../model/times.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Labels of a time axis: Unix ms, `step` apart. As much of the time as tells one tick from the next. */
export function timeTicks(ticks: readonly number[], step: number): string[] {
  const [first = 0, last = 0] = [ticks[0], ticks[ticks.length - 1]];
  // An hour is there twice where clocks are put back.
  const shifted = new Date(first).getTimezoneOffset() !== new Date(last).getTimezoneOffset();
  return ticks.map(tick => {
    const clock = formatTime(tick, step < 1000);
    const zone = shifted ? offsetText(tick) : '';
    if (step < MINUTE) return `${clock}${zone}`;
    if (step < DAY) return `${clock.slice(0, 5)}${zone}`;
    const date = new Date(tick);
    return `${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
  });
}
