import type { Line } from './line.ts';

/**
 * The hosts that have fallen silent, by the lines of the rooms that are kept up to date. `before` are those that were: one
 * stays silent until it has a sample again, also when its lines have left the window.
 */
export function silentHosts(before: ReadonlySet<string>, lines: readonly Line[], now: number): Set<string> {
  const silent = new Set(before);
  const heard = new Set<string>();
  for (const { labels, steady, interval, newestTime, patience } of lines) {
    const { host } = labels;
    if (host === undefined || !steady || interval === 0) continue;
    if (now - newestTime <= patience) heard.add(host);
    else silent.add(host);
  }
  for (const host of heard) silent.delete(host);
  return silent;
}
