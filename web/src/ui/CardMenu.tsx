import { useRef } from 'preact/hooks';
import type { Panel } from '../model/panels.ts';
import type { Page } from '../page/page.ts';

/** What can be changed of a chart: its title, its place, and whether it is here. */
export function CardMenu({ page, panel }: { page: Page; panel: Panel }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (menu.current) menu.current.open = false;
  };
  const act = (change: () => void): void => {
    close();
    change();
  };
  const { board } = page;
  return (
    <details
      class="menu"
      ref={menu}
      onFocusOut={event => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) close();
      }}
      onKeyDown={event => {
        if (event.key !== 'Escape' || !menu.current!.open) return;
        close();
        menu.current!.querySelector('summary')!.focus();
      }}
    >
      <summary title={`Change the chart ${panel.title}`}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M3 8h.01M8 8h.01M13 8h.01" />
        </svg>
        <span class="unseen">Change the chart {panel.title}</span>
      </summary>
      {/* It takes the focus of a click beside the buttons, which would close the menu otherwise. */}
      <div class="sheet" tabIndex={-1}>
        <form
          onSubmit={event => {
            event.preventDefault();
            board.name(panel, new FormData(event.currentTarget).get('title') as string);
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
        </form>
        <button type="button" onClick={() => act(() => board.move(panel, -1))}>
          Move back
        </button>
        <button type="button" onClick={() => act(() => board.move(panel, 1))}>
          Move on
        </button>
        <button type="button" onClick={() => act(() => board.remove(panel))}>
          Remove
        </button>
        {!board.standard.value && (
          <button type="button" onClick={() => act(() => board.reset())}>
            Back to the page’s own charts
          </button>
        )}
      </div>
    </details>
  );
}
