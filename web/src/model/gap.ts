import * as texts from '../texts.ts';
import { formatTime } from './format.ts';
import type { DeclaredGap, Line } from './line.ts';

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
  const why = texts.GAP_REASONS[reason] ?? reason.replaceAll('_', ' ');
  return texts.gap(formatTime(from + 1), formatTime(to), why);
}

/** "1 gap", "3 gaps". */
export function gapCount(gaps: readonly DeclaredGap[]): string {
  return texts.gaps(gaps.length);
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
