import { stretchText } from '../model/times.ts';
import type { Page } from '../page/page.ts';

/** What time the charts show where that is not now, and how to have them stand still, move, and go on. */
export function TimeLine({ page }: { page: Page }) {
  const { time } = page;
  const fixed = time.fixed.value;
  if (!fixed) {
    return (
      <button type="button" class="tool" title="Pause (space)" onClick={() => time.togglePause()}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M5 3v10M11 3v10" />
        </svg>
        <span class="unseen">Pause</span>
      </button>
    );
  }
  return (
    <div class="timeline">
      <button type="button" class="tool" title="Back in time (left arrow)" onClick={() => time.pan(-0.5)}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M10 3 5 8l5 5" />
        </svg>
        <span class="unseen">Back in time</span>
      </button>
      <span class="stretch">{stretchText(fixed.from, fixed.to, page.clock.now() || fixed.to)}</span>
      <button type="button" class="tool" title="On in time (right arrow)" onClick={() => time.pan(0.5)}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="m6 3 5 5-5 5" />
        </svg>
        <span class="unseen">On in time</span>
      </button>
      <button
        type="button"
        class="live"
        title="Back to live (space, l, or a double click)"
        onClick={() => time.live()}
      >
        Back to live
      </button>
    </div>
  );
}
