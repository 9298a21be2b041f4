import type { Page } from './page.ts';

/** Keys of the whole page. */
const KEYS: Readonly<Record<string, (page: Page) => void>> = {
  '?': page => {
    page.help.value = true;
  },
  '/': page => page.ask('anything'),
  '+': page => page.time.scale(0.5),
  '-': page => page.time.scale(2),
  Escape: page => {
    if (page.wall.on.value) page.hang(false);
    else page.pin.release();
  },
  w: page => page.hang(!page.wall.on.value),
  n: page => page.toggleNumbers(),
  l: page => page.time.live(),
};

/** Keys that a control with the focus has a use for itself. */
const FREE_KEYS: Readonly<Record<string, (page: Page) => void>> = {
  ' ': page => page.time.togglePause(),
  ArrowLeft: page => page.time.pan(-0.25),
  ArrowRight: page => page.time.pan(0.25),
};

/** Has the page listen to its keys. */
export function listenToKeys(page: Page): void {
  document.addEventListener('keydown', event => {
    if (!page.keysOn.value && event.key !== '?') return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target))
      return;
    const act = KEYS[event.key] ?? (isControl(event.target) ? undefined : FREE_KEYS[event.key]);
    if (!act) return;
    event.preventDefault();
    act(page);
  });
}

/** Whether keys belong to the element that has the focus. */
function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest('input:not([type="radio"]), select, textarea, dialog') !== null
  );
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('button, summary, input, a') !== null;
}
