/** Narrowest chart beside another one, in rem. */
const NARROWEST = 27;

/** More charts beside each other than this cannot be taken in at a glance. */
const MOST_COLUMNS = 6;

/** How charts stand on a page. */
export interface Grid {
  readonly columns: number;
  /** Columns that the large chart takes: so many that the rows are full. */
  readonly span: number;
}

/** Lays `count` charts out on `width` rem. */
export function gridOf(count: number, width: number): Grid {
  const fit = Math.max(1, Math.min(MOST_COLUMNS, Math.floor(width / NARROWEST)));
  // Four charts stand in a square rather than in three and one.
  const columns = count === 4 && fit === 3 ? 2 : Math.max(1, Math.min(fit, count));
  const lacking = (columns - (count % columns)) % columns;
  return { columns, span: 1 + lacking };
}
