import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** The server's version, whether this page is older than it, and what it sent that this page did not understand. */
export function Footer({ page }: { page: Page }) {
  const build = page.build.value;
  const { count, last } = page.malformed.value;
  return (
    <footer class="foot">
      {build && <p>{texts.version(build)}</p>}
      {page.updated.value && (
        <p>
          {texts.UPDATED}{' '}
          <button type="button" class="quiet" onClick={() => location.reload()}>
            {texts.RELOAD_PAGE}
          </button>
        </p>
      )}
      {count > 0 && <p>{texts.unreadable(count, last)}</p>}
    </footer>
  );
}
