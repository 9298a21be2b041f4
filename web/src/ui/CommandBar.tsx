import { useComputed, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { writingLines } from '../model/writing.ts';
import { type Command, commands, type Question } from '../page/commands.ts';
import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** Finds series, hosts, windows and actions by what is typed. */
export function CommandBar({ page }: { page: Page }) {
  const question = page.question.value;
  return question && <Bar page={page} question={question} />;
}

function Bar({ page, question }: { page: Page; question: Question }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const words = useSignal('');
  const chosen = useSignal(0);
  const found = useComputed(() => commands(page, question, words.value));
  useLayoutEffect(() => dialog.current!.showModal(), []);
  useLayoutEffect(() => {
    dialog.current!.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  });
  const list = found.value;
  const at = Math.min(chosen.value, list.length - 1);
  const run = (command: Command | undefined): void => {
    if (!command) return;
    dialog.current!.close();
    command.run();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the key is Escape, which every dialog has
    <dialog
      ref={dialog}
      class="commands"
      aria-label={question === 'charts' ? texts.ADD_A_CHART : texts.FIND}
      onClose={() => page.ask(null)}
      onClick={event => {
        // A click on what lies behind the bar.
        if (event.target === dialog.current) dialog.current!.close();
      }}
    >
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={list[at] && `found-${at}`}
        aria-label={question === 'charts' ? texts.SERIES : texts.ANYTHING}
        placeholder={question === 'charts' ? texts.ADD_BY : texts.ANYTHING}
        autocomplete="off"
        spellcheck={false}
        value={words.value}
        onInput={event => {
          words.value = event.currentTarget.value;
          chosen.value = 0;
        }}
        onKeyDown={event => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step) chosen.value = (at + step + list.length) % Math.max(1, list.length);
          else if (event.key === 'Enter') run(list[at]);
          else return;
          event.preventDefault();
        }}
      />
      <div id="found" role="listbox" aria-label={texts.FOUND}>
        {list.map((command, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field above, as for every combobox
          <div
            key={command.key}
            id={`found-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at}
            onClick={() => run(command)}
          >
            <span>{command.label}</span>
            <small>{command.hint}</small>
          </div>
        ))}
      </div>
      {list.length === 0 && <p class="nothing">{texts.NOTHING_FOUND}</p>}
      {question === 'charts' && (
        <div class="own">
          {texts.OWN_NUMBERS}
          {writingLines(document.baseURI).map(line => (
            <pre key={line}>{line}</pre>
          ))}
        </div>
      )}
      {page.whole.value === false && <p class="nothing">{texts.MORE_SERIES}</p>}
    </dialog>
  );
}
