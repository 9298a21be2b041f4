import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** What of the link could not be followed, and what the page has left out. */
export function Notes({ page }: { page: Page }) {
  const host = page.host.value;
  const unknown = host !== null && page.whole.value === true && !page.hosts.value.includes(host);
  const more = page.board.more.value;
  const empty = page.board.panels.value.length === 0;
  const notice = page.notice.value;
  if (page.faults.length === 0 && !unknown && more === 0 && !empty && notice === '') return null;
  return (
    <section class="notes" aria-label={texts.NOTES}>
      {page.faults.map(fault => (
        <p key={fault}>{fault}</p>
      ))}
      {notice && <p>{notice}</p>}
      {unknown && (
        <p>
          {texts.noHost(host)}{' '}
          <button type="button" class="quiet" onClick={() => page.chooseHost(null)}>
            {texts.SHOW_ALL_HOSTS}
          </button>
        </p>
      )}
      {more > 0 && (
        <p>
          {texts.moreMetrics(more)}{' '}
          <button type="button" class="quiet" onClick={() => page.ask('charts')}>
            {texts.FIND_ONE}
          </button>
        </p>
      )}
      {empty && (
        <p>
          {texts.NO_CHART}{' '}
          <button type="button" class="quiet" onClick={() => page.board.reset()}>
            {texts.TO_OWN_CHARTS}
          </button>
        </p>
      )}
    </section>
  );
}
