import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { tableOf } from '../model/csv.ts';
import { formatValue } from '../model/format.ts';
import { momentText, stretchText } from '../model/times.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';

/** Rows that are shown; all of them are in the CSV. */
const MOST_ROWS = 500;

/** What a chart shows, as a table: a snapshot, the newest first. */
export function DataTable({ page, view }: { page: Page; view: View }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [{ from, to, heads, rows, units }] = useState(() => {
    const { from, to } = page.time.at(page.clock.now());
    const columns = view.columns();
    const units = columns.flatMap(({ line, unit }) => (line.columns ? [unit, unit] : [unit]));
    return { from, to, units, ...tableOf(columns, from, to) };
  });
  useLayoutEffect(() => dialog.current!.showModal(), []);
  const newest = rows.slice(-MOST_ROWS).reverse();
  return (
    <dialog
      ref={dialog}
      class="keys data"
      aria-label={texts.tableOf(view.panel.title)}
      onClose={() => {
        page.table.value = null;
      }}
    >
      <form method="dialog">
        <h2>{texts.tableOf(view.panel.title)}</h2>
        <p>{stretchText(from, to, to)}</p>
        {rows.length > MOST_ROWS && <p>{texts.newestRows(MOST_ROWS, rows.length)}</p>}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard */}
        <section class="scroll" tabIndex={0} aria-label={texts.tableOf(view.panel.title)}>
          <table>
            <thead>
              <tr>
                <th scope="col">{texts.TIME}</th>
                {heads.map(head => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {newest.map(([time, values]) => (
                <tr key={time}>
                  <th scope="row">{momentText(time, from, to)}</th>
                  {heads.map((head, i) => (
                    <td key={head}>{values[i] === undefined ? '' : formatValue(values[i], units[i]!)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
        <button type="submit" class="quiet">
          {texts.CLOSE}
        </button>
      </form>
    </dialog>
  );
}
