import { formatTime } from './format.ts';
import type { DeclaredGap, Line } from './line.ts';

/** What the reasons of docs/PROTOCOL.md mean to a reader. */
const REASONS: Readonly<Record<string, string>> = {
  damaged: 'files of this server’s history were damaged',
  log_trimmed: 'this server was away for longer than the log is kept',
  source_dropped: 'the source lost samples before it could send them',
  log_lost: 'the log lost samples (Redis restarted or failed over)',
  not_stored: 'the server’s disk was full, and this is recorded when there is room',
};

/**
 * The gaps that were declared on any of the lines, ascending. Gaps of one reason that overlap are one: a server tells
 * each series of its own, and to a reader they are the same event.
 */
export function gapsOf(lines: readonly Line[]): DeclaredGap[] {
  const out: DeclaredGap[] = [];
  const all = lines.flatMap(line => line.gaps).sort((a, b) => a.from - b.from);
  for (const gap of all) {
    const i = out.findLastIndex(other => other.reason === gap.reason);
    const last = out[i];
    if (last && gap.from < last.to) out[i] = { ...last, to: Math.max(last.to, gap.to) };
    else if (!last || gap.from !== last.from || gap.to !== last.to) out.push(gap);
  }
  return out;
}

/** Says that samples may be missing, when, and why. The ends are excluded: often the first is right before a full second. */
export function gapText({ from, to, reason }: DeclaredGap): string {
  const why = REASONS[reason] ?? reason.replaceAll('_', ' ');
  return `samples may be missing from ${formatTime(from + 1)} to ${formatTime(to)}: ${why}`;
}

/** "1 gap", "3 gaps". */
export function gapCount(gaps: readonly DeclaredGap[]): string {
  return gaps.length === 1 ? '1 gap' : `${gaps.length} gaps`;
}

/** Whether two lists have the same gaps. */
export function sameGaps(a: readonly DeclaredGap[], b: readonly DeclaredGap[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ from, to, reason }, i) => {
      const other = b[i]!;
      return from === other.from && to === other.to && reason === other.reason;
    })
  );
}
