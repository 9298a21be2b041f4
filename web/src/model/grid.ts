/** Narrowest chart beside another one, in rem. */
const NARROWEST = 25;

/** Lowest chart with its head and its legend, in rem: more of them than fit on a screen are scrolled to. */
const LOWEST = 17;

/** More charts beside each other than this cannot be taken in at a glance. */
const MOST_COLUMNS = 6;

/** How many times as wide as high a chart is read best. */
const BEST = 1.7;

/** How charts stand on a page. */
export interface Grid {
  readonly columns: number;
  /** Columns that the large chart takes: so many that the rows are full. */
  readonly span: number;
}

/**
 * Lays `count` charts out on `width` by `height` rem: as many columns as give charts a good shape and full rows, and the
 * page no need to be scrolled where that can be.
 */
export function gridOf(count: number, width: number, height: number): Grid {
  const fit = Math.max(1, Math.min(MOST_COLUMNS, Math.floor(width / NARROWEST), count));
  let best = { columns: 1, span: 1 };
  let least = Number.POSITIVE_INFINITY;
  for (let columns = 1; columns <= fit; columns++) {
    const rows = Math.ceil(count / columns);
    const lacking = (columns - (count % columns)) % columns;
    const high = Math.max(LOWEST, height / rows);
    const beyond = Math.max(0, (rows * high) / Math.max(LOWEST, height) - 1);
    const shape = Math.abs(Math.log(width / columns / high / BEST));
    // A chart as wide as several is a good one to begin with, as long as it does not take the whole row.
    const blame = shape + 0.15 * lacking + 2 * beyond;
    if (blame < least) {
      least = blame;
      best = { columns, span: 1 + lacking };
    }
  }
  return best;
}

/** As many charts as a screen of `width` by `height` rem has room for without scrolling. */
export function roomFor(width: number, height: number): number {
  const columns = Math.max(1, Math.min(MOST_COLUMNS, Math.floor(width / NARROWEST)));
  return columns * Math.max(1, Math.floor(height / LOWEST));
}

/** What is shown at a turn of a wall that has room for `most` at once: groups of nearly equal size, one after the other. */
export function turnOf<T>(all: readonly T[], most: number, turn: number): readonly T[] {
  const groups = Math.max(1, Math.ceil(all.length / most));
  const size = Math.ceil(all.length / groups);
  const first = (turn % groups) * size;
  return all.slice(first, first + size);
}
