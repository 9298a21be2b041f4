import { DASHES } from '../model/colour.ts';
import { formatTime } from '../model/format.ts';
import type { Pen } from '../page/pens.ts';
import type { View } from '../page/view.ts';

/** The lines of a chart with their values; a click hides a line. A line alone is named by the chart's title. */
export function Legend({ view }: { view: View }) {
  const pens = view.pens.list.value;
  const note = view.note.value;
  if (pens.length < 2 && note === '') return null;
  return (
    <footer class="legend">
      {pens.length > 1 && (
        <ul>
          {pens.map(pen => (
            <Item key={pen.line.key} view={view} pen={pen} />
          ))}
        </ul>
      )}
      {note && <p class="note">{note}</p>}
      {view.crowded.value && (
        <button type="button" class="quiet" onClick={() => view.rank()}>
          Rank again
        </button>
      )}
    </footer>
  );
}

function Item({ view, pen }: { view: View; pen: Pen }) {
  return (
    <li class={pen.silent.value ? 'silent' : ''}>
      <button type="button" aria-pressed={pen.shown.value} title={pen.title} onClick={() => view.toggle(pen)}>
        <svg class={`ink ink-${pen.ink.colour}`} width="18" height="8" aria-hidden="true">
          <path d="M0 4h18" stroke-dasharray={DASHES[pen.ink.dash]!.join(' ')} />
        </svg>
        <span class="key">{pen.title}</span>
        <span class="value">{pen.value}</span>
        {pen.silent.value && <span class="since">since {formatTime(pen.line.newestTime)}</span>}
      </button>
    </li>
  );
}
