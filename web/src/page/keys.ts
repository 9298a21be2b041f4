import type { Page } from './page.ts';

/** What a key does, while nobody is typing. */
const KEYS: Readonly<Record<string, (page: Page) => void>> = {
  '/': page => page.ask('anything'),
};

/** Has the page listen to its keys. */
export function listenToKeys(page: Page): void {
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target))
      return;
    const act = KEYS[event.key];
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
