import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Page } from '../page/page.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'find series, hosts, windows and actions'],
  ['space', 'pause, and back to live'],
  ['← →', 'back and on in time'],
  ['+ −', 'a shorter and a longer stretch'],
  ['l', 'back to live'],
  ['n', 'min, mean and max in all legends'],
  ['w', 'a wall: no controls, everything on one screen; Esc: back'],
  ['Esc', 'let go of a time that is held'],
  ['?', 'these keys'],
];

const POINTER: readonly (readonly [string, string])[] = [
  ['drag', 'zoom, on all charts; double click: back'],
  ['Shift and drag', 'pull the paper; on a touch screen: one finger'],
  ['click', 'hold a time with all values; again: let go'],
  ['click a legend', 'show one line only; with Ctrl: hide it'],
];

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
      aria-label="Keys"
      onClose={() => {
        page.help.value = false;
      }}
    >
      <form method="dialog">
        <h2>Keys</h2>
        <dl>
          {[...KEYS, ...POINTER].map(([key, does]) => (
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
          single keys do this
        </label>
        <button type="submit" class="quiet">
          Close
        </button>
      </form>
    </dialog>
  );
}
