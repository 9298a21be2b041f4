import { formatTime } from './format.ts';
import type { DeclaredGap, Line } from './line.ts';

/** What the reasons of docs/PROTOCOL.md mean to a reader. */
const REASONS: Readonly<Record<string, string>> = {
  log_trimmed: 'the server was away for longer than the log is kept',
  source_dropped: 'a source could not keep what it measured',
  log_lost: 'the log lost its past',
};

/** The newest gap that was declared on any of the lines; null where there is none. */
export function newestGap(lines: readonly Line[]): DeclaredGap | null {
  const gaps = lines.flatMap(line => line.gaps);
  return gaps.reduce<DeclaredGap | null>(
    (newest, gap) => (newest && newest.to >= gap.to ? newest : gap),
    null,
  );
}

/** Says that samples may be missing, when, and why. */
export function gapText({ from, to, reason }: DeclaredGap): string {
  const why = REASONS[reason] ?? reason.replaceAll('_', ' ');
  return `samples may be missing from ${formatTime(from)} to ${formatTime(to)}: ${why}`;
}
