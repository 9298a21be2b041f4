import type { Page } from '../page/page.ts';

/** What of the link could not be followed, and what the page has left out. */
export function Notes({ page }: { page: Page }) {
  const host = page.host.value;
  const unknown = host !== null && page.whole.value === true && !page.hosts.value.includes(host);
  const more = page.board.more.value;
  const empty = page.board.panels.value.length === 0;
  const notice = page.notice.value;
  if (page.faults.length === 0 && !unknown && more === 0 && !empty && notice === '') return null;
  return (
    <div class="notes">
      {page.faults.map(fault => (
        <p key={fault}>{fault}</p>
      ))}
      {notice && <p>{notice}</p>}
      {unknown && (
        <p>
          There is no host “{host}” among the series that are being written.{' '}
          <button type="button" class="quiet" onClick={() => page.chooseHost(null)}>
            Show all hosts
          </button>
        </p>
      )}
      {more > 0 && (
        <p>
          {more} more metrics have no chart here.{' '}
          <button type="button" class="quiet" onClick={() => page.ask('charts')}>
            Find one
          </button>
        </p>
      )}
      {empty && (
        <p>
          There is no chart on this page.{' '}
          <button type="button" class="quiet" onClick={() => page.board.reset()}>
            Back to the page’s own
          </button>
        </p>
      )}
    </div>
  );
}
