import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** Says over the whole width of a wall, or of a part of another page, that what it shows is not live. */
export function WallAlarm({ page }: { page: Page }) {
  const { kind, title, detail } = page.condition.value;
  if (!(page.wall.on.value || page.embedded) || kind === 'live' || kind === 'connecting') return null;
  return (
    <section class="alarm" data-kind={kind} aria-label={texts.STATE}>
      <strong>{title}</strong> {detail}
    </section>
  );
}
