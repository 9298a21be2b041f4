import { FORMS, type Form } from '../model/form.ts';
import { distinguishing, NAME } from '../model/labels.ts';
import { GRAVE, limitText, parseLimit } from '../model/limits.ts';
import type { Panel } from '../model/panels.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';
import { OutMenu } from './OutMenu.tsx';

export interface CardProps {
  readonly page: Page;
  readonly panel: Panel;
  readonly view: View | null;
  /** Closes the menu. */
  readonly close: () => void;
}

/** What can be done with a chart: its title and limits, its form, how it leaves the page, its place, and whether it is here. */
export function CardSheet({ page, panel, view, close }: CardProps) {
  const { board } = page;
  const told = view ? distinguishing(view.lines.map(line => line.labels)) : [];
  const by = panel.card?.by;
  const labels = panel.vital
    ? []
    : [...new Set([...(by ? [by] : []), ...told])].filter(name => name !== NAME);
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
      <label>
        {texts.FORM}
        <select
          value={panel.form}
          onChange={event => {
            close();
            board.reform(panel, event.currentTarget.value as Form);
          }}
        >
          {FORMS.map(form => (
            <option key={form} value={form}>
              {texts.FORMS[form]}
            </option>
          ))}
        </select>
      </label>
      {labels.length > 0 && (
        <label>
          {texts.SPLIT}
          <select
            value={panel.card?.by ?? ''}
            onChange={event => {
              close();
              board.split(panel, event.currentTarget.value || null);
            }}
          >
            <option value="">{texts.TOGETHER}</option>
            {labels.map(label => (
              <option key={label}>{label}</option>
            ))}
          </select>
        </label>
      )}
      {view && <OutMenu page={page} panel={panel} view={view} close={close} />}
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
}
