import { useComputed } from '@preact/signals';
import type { Page } from '../page/page.ts';

/** Tells screen readers of changes of state and of gaps, and never of values, which change all the time. */
export function Announcer({ page }: { page: Page }) {
  const title = useComputed(() => page.condition.value.title);
  return (
    <div class="unseen">
      <p role="status">{title}</p>
      <p aria-live="polite">{page.gapNews}</p>
    </div>
  );
}
