import { useComputed } from '@preact/signals';
import { told } from '../model/condition.ts';
import type { Page } from '../page/page.ts';

/** Tells screen readers of changes of state, of gaps, and of values that keys have asked for: others change all the time. */
export function Announcer({ page }: { page: Page }) {
  const title = useComputed(() => told(page.condition.value, page.time.fixed.value !== null).title);
  return (
    <div class="unseen">
      <p role="status">{title}</p>
      <p aria-live="polite">{page.said}</p>
    </div>
  );
}
