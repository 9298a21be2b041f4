import { useSignal, useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { gapCount, gapText } from '../model/gap.ts';
import { limitText } from '../model/limits.ts';
import type { Panel } from '../model/panels.ts';
import { momentText } from '../model/times.ts';
import type { Page } from '../page/page.ts';
import { View } from '../page/view.ts';
import * as texts from '../texts.ts';
import { CardMenu } from './CardMenu.tsx';
import { Legend } from './Legend.tsx';
import { PinTable } from './PinTable.tsx';
import { Vacancy } from './Vacancy.tsx';

/** One chart with its title, its legend and what is to be said about it. */
export function ChartPanel({ page, panel }: { page: Page; panel: Panel }) {
  const plot = useRef<HTMLDivElement>(null);
  const view = useSignal<View | null>(null);

  useLayoutEffect(() => {
    const root = plot.current!;
    const opened = new View(page, panel, root, root.clientWidth, root.clientHeight);
    view.value = opened;
    const sizes = new ResizeObserver(() => opened.resize(root.clientWidth, root.clientHeight));
    sizes.observe(root);
    const unwatch = page.presence.watch(root, present => opened.setPresent(present));
    return () => {
      unwatch();
      sizes.disconnect();
      opened.close();
    };
  }, [page, panel.query, panel.unit, panel.form, limitText(panel.limits.warn), limitText(panel.limits.bad)]);

  useLayoutEffect(() => {
    if (page.board.added.value !== panel.id) return;
    page.board.added.value = null;
    plot.current!.closest('section')!.scrollIntoView({ block: 'nearest' });
  }, [page, panel.id]);

  useSignalEffect(() => {
    void page.window.value;
    view.value?.windowChanged();
  });

  return (
    <section class={panel.hero ? 'panel hero' : 'panel'} aria-labelledby={panel.id}>
      <header>
        <h2 id={panel.id} title={panel.query}>
          {panel.title}
        </h2>
        {panel.subtitle && <code class="metric">{panel.subtitle}</code>}
        {view.value && <State view={view.value} />}
        {view.value && <Gaps view={view.value} />}
        <PointedTime page={page} />
        {view.value && <Reading view={view.value} />}
        {!page.embedded && <CardMenu page={page} panel={panel} view={view.value} />}
      </header>
      <div class="paper">
        <div
          class="plot"
          ref={plot}
          role="application"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys read the chart
          tabIndex={0}
          aria-roledescription={texts.CHART}
          aria-label={texts.chartOf(panel.title)}
          aria-description={texts.CHART_HELP}
          onKeyDown={event => {
            if (event.ctrlKey || event.metaKey || event.altKey || !view.value) return;
            if (page.cursor.press(view.value, event.key, event.shiftKey)) event.preventDefault();
          }}
          // Who points with a mouse moves the paper with the arrows, as everywhere else.
          onFocus={event => {
            if (!event.currentTarget.matches(':focus-visible')) event.currentTarget.blur();
          }}
          onBlur={() => page.cursor.leave()}
        />
        {view.value && <Message view={view.value} />}
        {view.value && <PinTable page={page} view={view.value} />}
        {view.value && <Vacancy page={page} view={view.value} />}
      </div>
      {view.value && <Legend page={page} view={view.value} />}
    </section>
  );
}

function Message({ view }: { view: View }) {
  const text = view.message.value;
  return text === '' ? null : <p class={view.refused.value ? 'message refused' : 'message'}>{text}</p>;
}

/** How the chart stands, where that is not live. */
function State({ view }: { view: View }) {
  const { text, fault } = view.state.value;
  return text === '' ? null : <p class={fault ? 'state fault' : 'state'}>{text}</p>;
}

/** How many gaps there are; opened, when and why. */
function Gaps({ view }: { view: View }) {
  const gaps = view.gaps.value;
  if (gaps.length === 0) return null;
  return (
    <details class="gaps">
      <summary
        title={gaps.map(gapText).join('\n')}
        aria-label={texts.gapsIn(gapCount(gaps), view.panel.title)}
      >
        {gapCount(gaps)}
      </summary>
      <ul>
        {gaps.map(gap => (
          <li key={gap.from}>{gapText(gap)}</li>
        ))}
      </ul>
    </details>
  );
}

/** The value of a line that is alone on its chart. */
function Reading({ view }: { view: View }) {
  const pen = view.single.value;
  return pen && <p class={`reading ${pen.silent.value ? 'silent' : pen.level.value}`}>{pen.value}</p>;
}

/** The time under the pointer, which the values below belong to. */
function PointedTime({ page }: { page: Page }) {
  const time = page.hover.value ?? page.pin.held.value?.time ?? null;
  if (time === null) return null;
  const { from, to } = page.time.at(page.clock.now());
  return <time class="pointed">{momentText(time, from, to)}</time>;
}
