import { Line } from './line.ts';
import type { History } from './wire.ts';

/** A stretch of the past, as it was read once. */
export class Past {
  /** Its ends, both included, Unix ms. What was not yet when it was read is not in it. */
  readonly from: number;
  readonly to: number;
  readonly lines: readonly Line[];

  constructor({ from, to, now, series, blocks, gaps }: History) {
    this.from = from;
    this.to = Math.min(to, now);
    // Nothing is folded here that the server has not folded, and nothing leaves.
    const extent = { window: Math.max(1, to - from), points: Number.POSITIVE_INFINITY };
    const lines = new Map(series.map(({ id, labels, interval }) => [id, new Line(labels, interval, extent)]));
    for (const block of blocks) {
      block.ids.forEach((id, row) => {
        const line = lines.get(id);
        if (!line) return;
        if (block.kind === 'columns') line.addColumns(block, row, to);
        else for (const [i, value] of block.ys[row]!.entries()) line.add(block.x[i]!, value, to);
      });
    }
    for (const { ids, ...gap } of gaps) for (const id of ids) lines.get(id)?.addGap(gap);
    this.lines = [...lines.values()].filter(line => Number.isFinite(line.newestTime));
  }
}

/** The newest sample of any of the lines; null where there is none. */
export function lastSample(lines: readonly Line[]): { line: Line; time: number; value: number } | null {
  let last: Line | null = null;
  for (const line of lines) if (!last || line.newestTime > last.newestTime) last = line;
  return last && { line: last, time: last.newestTime, value: last.newestValue };
}
