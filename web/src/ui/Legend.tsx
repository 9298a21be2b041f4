import { DASHES, PALETTE } from '../model/colour.ts';
import type { Entry, View } from '../page/view.ts';

/** The lines of a chart with their values; a click hides a line. */
export function Legend({ view }: { view: View }) {
  return (
    <footer class="legend">
      <ul>
        {view.legend.value.map(entry => (
          <Item key={entry.key} view={view} entry={entry} />
        ))}
      </ul>
      {view.note.value && <p class="note">{view.note.value}</p>}
      {view.ranked.value && (
        <button type="button" class="quiet" onClick={() => view.rank()}>
          Rank again
        </button>
      )}
    </footer>
  );
}

function Item({ view, entry }: { view: View; entry: Entry }) {
  return (
    <li>
      <button type="button" aria-pressed={entry.shown.value} onClick={() => view.toggle(entry)}>
        <svg
          class={`ink ink-${entry.ink.colour % PALETTE.light.length}`}
          width="18"
          height="8"
          aria-hidden="true"
        >
          <path d="M0 4h18" stroke-dasharray={DASHES[entry.ink.dash]!.join(' ')} />
        </svg>
        <span class="key">{entry.key}</span>
        <span class="value">{entry.value}</span>
      </button>
    </li>
  );
}
