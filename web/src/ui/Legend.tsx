import { DASHES } from '../model/colour.ts';
import { formatTime } from '../model/format.ts';
import type { Page } from '../page/page.ts';
import type { Pen } from '../page/pens.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';

/**
 * The lines of a chart with their values. A click shows one line only, with Ctrl it hides or shows a line. A line alone is
 * named by the chart's title.
 */
export function Legend({ page, view }: { page: Page; view: View }) {
  const pens = view.pens.list.value;
  const note = view.note.value;
  const numbers = page.numbers.value;
  if (pens.length === 0 && note === '') return null;
  return (
    <footer class={numbers ? 'legend numbers' : 'legend'}>
      {pens.length === 1 && <Stats pen={pens[0]!} />}
      {pens.length > 1 && (
        <ul>
          {pens.map((pen, i) => (
            <Item key={pen.line.key} view={view} pen={pen} i={i} numbers={numbers} />
          ))}
        </ul>
      )}
      {note && <p class="note">{note}</p>}
      {view.crowded.value && (
        <button type="button" class="quiet" onClick={() => view.rank()}>
          {texts.RANK_AGAIN}
        </button>
      )}
    </footer>
  );
}

function Item({ view, pen, i, numbers }: { view: View; pen: Pen; i: number; numbers: boolean }) {
  const classes = [pen.silent.value ? 'silent' : '', view.focused.value === i ? 'focused' : ''];
  return (
    <li class={classes.filter(Boolean).join(' ')}>
      <button
        type="button"
        aria-pressed={pen.shown.value}
        title={texts.lineHelp(pen.title)}
        onClick={event => (event.ctrlKey || event.metaKey ? view.toggle(pen) : view.isolate(pen))}
      >
        <svg class={`ink ink-${pen.ink.colour}`} width="18" height="8" aria-hidden="true">
          <path d="M0 4h18" stroke-dasharray={DASHES[pen.ink.dash]!.join(' ')} />
        </svg>
        <span class="key">{pen.short}</span>
        {numbers && <Stats pen={pen} />}
        <span class={`value ${pen.silent.value ? '' : pen.level.value}`}>{pen.value}</span>
        {/* Where all lines are silent the chart says so. */}
        {pen.silent.value && !view.state.value.fault && (
          <span class="since">{texts.since(formatTime(pen.line.newestTime))}</span>
        )}
      </button>
    </li>
  );
}

/** Least, mean and greatest value of what the chart shows. */
function Stats({ pen }: { pen: Pen }) {
  const stats = pen.stats.value;
  if (!stats) return null;
  return (
    <span class="stats">
      {[texts.MIN, texts.MEAN, texts.MAX].map((name, i) => (
        <span key={name}>
          <small>{name}</small> {stats[i]}
        </span>
      ))}
    </span>
  );
}
