import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** What keys and pointer do. */
export function Keys({ page }: { page: Page }) {
  return page.help.value ? <Sheet page={page} /> : null;
}

function Sheet({ page }: { page: Page }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="keys"
      aria-label={texts.KEYS}
      onClose={() => {
        page.help.value = false;
      }}
    >
      <form method="dialog">
        <h2>{texts.KEYS}</h2>
        <dl>
          {texts.KEY_HELP.map(([key, does]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
        <label>
          <input
            type="checkbox"
            checked={page.keysOn.value}
            onChange={event => page.allowKeys(event.currentTarget.checked)}
          />{' '}
          {texts.KEYS_ON}
        </label>
        <button type="submit" class="quiet">
          {texts.CLOSE}
        </button>
      </form>
    </dialog>
  );
}
