import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { fetchSeldom } from './Later.tsx';

export interface MenuProps {
  /** What it is called, for those who do not see its picture. */
  readonly label: string;
  readonly class?: string;
  /** `close` closes it. */
  readonly children: (close: () => void) => ComponentChildren;
}

/** Three points that open a sheet of choices. It closes when the focus leaves it, and by Escape. */
export function Menu({ label, children, class: kind = '' }: MenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <details
      class={`menu ${kind}`}
      ref={menu}
      onToggle={fetchSeldom}
      onFocusOut={event => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) close();
      }}
      onKeyDown={event => {
        if (event.key !== 'Escape' || !menu.current!.open) return;
        close();
        menu.current!.querySelector('summary')!.focus();
      }}
    >
      <summary title={label}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M3 8h.01M8 8h.01M13 8h.01" />
        </svg>
        <span class="unseen">{label}</span>
      </summary>
      {/* It takes the focus of a click beside the buttons, which would close the menu otherwise. */}
      <div class="sheet" tabIndex={-1}>
        {children(close)}
      </div>
    </details>
  );
}
