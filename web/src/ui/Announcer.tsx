import { useComputed } from '@preact/signals';
import type { Page } from '../page/page.ts';

/** Tells screen readers of changes of state, and never of values, which change all the time. */
export function Announcer({ page }: { page: Page }) {
  const title = useComputed(() => page.condition.value.title);
  return (
    <p class="unseen" role="status">
      {title}
    </p>
  );
}
