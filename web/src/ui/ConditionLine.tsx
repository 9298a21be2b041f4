import { told } from '../model/condition.ts';
import type { Page } from '../page/page.ts';

/** The page's state in a line, with a lamp that says the same by its shape and colour. */
export function ConditionLine({ page }: { page: Page }) {
  const { kind, title, detail } = told(page.condition.value, page.time.fixed.value !== null);
  return (
    <p class="condition" data-kind={kind}>
      <span class="lamp" aria-hidden="true" />
      <strong>{title}</strong>
      {detail && <span class="detail"> {kind === 'stale' ? detail : `· ${detail}`}</span>}
    </p>
  );
}
