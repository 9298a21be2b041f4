import { spanLabel } from '../model/span.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';

/** What stands in the place of a chart without a sample, and what may help. */
export function Vacancy({ page, view }: { page: Page; view: View }) {
  const absence = view.absent.said.value;
  if (!absence) return null;
  const { text, near, show } = absence;
  return (
    <div class="message">
      <p>{text}</p>
      {near.length > 0 && (
        <p class="near">
          {texts.NEAR}{' '}
          {near.map(name => (
            <button
              key={name}
              type="button"
              class="quiet"
              onClick={() => page.board.retarget(view.panel, name)}
            >
              {name}
            </button>
          ))}
        </p>
      )}
      {show !== null && (
        <p>
          <button type="button" class="quiet" onClick={() => page.chooseWindow(show)}>
            {texts.show(spanLabel(show))}
          </button>
        </p>
      )}
    </div>
  );
}
