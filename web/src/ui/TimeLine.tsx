import { stretchText } from '../model/times.ts';
import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** What time the charts show where that is not now, and how to have them stand still, move, and go on. */
export function TimeLine({ page }: { page: Page }) {
  const { time } = page;
  const fixed = time.fixed.value;
  if (!fixed) {
    return (
      <button type="button" class="tool" title={texts.PAUSE_HELP} onClick={() => time.togglePause()}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M5 3v10M11 3v10" />
        </svg>
        <span class="unseen">{texts.PAUSE}</span>
      </button>
    );
  }
  return (
    <div class="timeline">
      <button type="button" class="tool" title={texts.BACK_HELP} onClick={() => time.pan(-0.5)}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M10 3 5 8l5 5" />
        </svg>
        <span class="unseen">{texts.BACK}</span>
      </button>
      <span class="stretch">{stretchText(fixed.from, fixed.to, page.clock.now() || fixed.to)}</span>
      <button type="button" class="tool" title={texts.ON_HELP} onClick={() => time.pan(0.5)}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="m6 3 5 5-5 5" />
        </svg>
        <span class="unseen">{texts.ON}</span>
      </button>
      <button type="button" class="live" title={texts.TO_LIVE_HELP} onClick={() => time.live()}>
        {texts.TO_LIVE}
      </button>
    </div>
  );
}
