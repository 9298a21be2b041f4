import { GRAVE, limitText, parseLimit } from '../model/limits.ts';
import type { Panel } from '../model/panels.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import { Menu } from './Menu.tsx';
import { OutMenu } from './OutMenu.tsx';

/** What can be done with a chart: its title and limits, how it leaves the page, its place, and whether it is here. */
export function CardMenu({ page, panel, view }: { page: Page; panel: Panel; view: View | null }) {
  const { board } = page;
  return (
    <Menu label={`Change the chart ${panel.title}`}>
      {close => {
        const act = (change: () => void) => (): void => {
          close();
          change();
        };
        return (
          <>
            <form
              onSubmit={event => {
                event.preventDefault();
                const fields = new FormData(event.currentTarget);
                const text = (name: string): string => fields.get(name) as string;
                board.describe(panel, text('title'), {
                  warn: parseLimit(text('warn')),
                  bad: parseLimit(text('bad')),
                });
                close();
              }}
            >
              <label>
                Title
                <input
                  name="title"
                  defaultValue={panel.card?.title ?? ''}
                  placeholder={panel.title}
                  maxLength={80}
                />
              </label>
              {GRAVE.map(level => (
                <label key={level}>
                  {level === 'warn' ? 'Warn from' : 'Bad from'}
                  <input
                    name={level}
                    defaultValue={limitText(panel.limits[level])}
                    placeholder="80, or <10 for below"
                    maxLength={24}
                  />
                </label>
              ))}
              <button type="submit">Set</button>
            </form>
            {view && <OutMenu page={page} panel={panel} view={view} close={close} />}
            <button type="button" onClick={act(() => board.move(panel, -1))}>
              Move back
            </button>
            <button type="button" onClick={act(() => board.move(panel, 1))}>
              Move on
            </button>
            <button type="button" onClick={act(() => board.remove(panel))}>
              Remove
            </button>
            {!board.standard.value && (
              <button type="button" onClick={act(() => board.reset())}>
                Back to the page’s own charts
              </button>
            )}
          </>
        );
      }}
    </Menu>
  );
}
