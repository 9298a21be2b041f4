import type { Page } from '../page/page.ts';

/** The server's version, whether this page is older than it, and what it sent that this page did not understand. */
export function Footer({ page }: { page: Page }) {
  const build = page.build.value;
  const { count, last } = page.malformed.value;
  return (
    <footer class="foot">
      {build && <p>Stripchart {build}</p>}
      {page.updated.value && (
        <p>
          The server was updated.{' '}
          <button type="button" class="quiet" onClick={() => location.reload()}>
            Reload this page
          </button>
        </p>
      )}
      {count > 0 && (
        <p>
          {count === 1 ? 'One message' : `${count} messages`} of the server could not be read ({last})
        </p>
      )}
    </footer>
  );
}
