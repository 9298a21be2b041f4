import { DASHES } from '../model/colour.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';

/** The values of all lines at the time that is held, the highest first. */
export function PinTable({ page, view }: { page: Page; view: View }) {
  const table = view.pinned.value;
  if (!table) return null;
  return (
    <div class={table.left ? 'pinned left' : 'pinned'}>
      <header>
        <time>{table.time}</time>
        <button type="button" title={texts.LET_GO} onClick={() => page.pin.release()}>
          ×<span class="unseen">{texts.LET_GO_OF}</span>
        </button>
      </header>
      <table>
        <tbody>
          {table.rows.map(({ key, title, ink, value }) => (
            <tr key={key}>
              <td>
                <svg class={`ink ink-${ink.colour}`} width="18" height="8" aria-hidden="true">
                  <path d="M0 4h18" stroke-dasharray={DASHES[ink.dash]!.join(' ')} />
                </svg>
              </td>
              <th scope="row" title={title}>
                {title}
              </th>
              <td class="value">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
