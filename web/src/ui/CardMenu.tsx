import { GRAVE, limitText, parseLimit } from '../model/limits.ts';
import type { Panel } from '../model/panels.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';
import { Later } from './Later.tsx';
import { Menu } from './Menu.tsx';

/** What can be done with a chart: its title and limits, how it leaves the page, its place, and whether it is here. */
export function CardMenu({ page, panel, view }: { page: Page; panel: Panel; view: View | null }) {
  const { board } = page;
  return (
    <Menu label={texts.change(panel.title)}>
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
                {texts.TITLE}
                <input
                  name="title"
                  defaultValue={panel.card?.title ?? ''}
                  placeholder={panel.title}
                  maxLength={80}
                />
              </label>
              {GRAVE.map(level => (
                <label key={level}>
                  {level === 'warn' ? texts.WARN_FROM : texts.BAD_FROM}
                  <input
                    name={level}
                    defaultValue={limitText(panel.limits[level])}
                    placeholder={texts.LIMIT_FORM}
                    maxLength={24}
                  />
                </label>
              ))}
              <button type="submit">{texts.SET}</button>
            </form>
            {view && (
              <Later>
                {({ OutMenu }) => <OutMenu page={page} panel={panel} view={view} close={close} />}
              </Later>
            )}
            <button type="button" onClick={act(() => board.move(panel, -1))}>
              {texts.MOVE_BACK}
            </button>
            <button type="button" onClick={act(() => board.move(panel, 1))}>
              {texts.MOVE_ON}
            </button>
            <button type="button" onClick={act(() => board.remove(panel))}>
              {texts.REMOVE}
            </button>
            {!board.standard.value && (
              <button type="button" onClick={act(() => board.reset())}>
                {texts.TO_STANDARD}
              </button>
            )}
          </>
        );
      }}
    </Menu>
  );
}
