import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { gridOf, roomFor, turnOf } from '../model/grid.ts';
import type { Page } from '../page/page.ts';
import { Announcer } from './Announcer.tsx';
import { ChartPanel } from './ChartPanel.tsx';
import { Footer } from './Footer.tsx';
import { Header } from './Header.tsx';
import { Fetching, Later } from './Later.tsx';
import { Notes } from './Notes.tsx';
import { Overview } from './Overview.tsx';
import { TabState } from './TabState.tsx';
import { WallAlarm } from './WallAlarm.tsx';

/** Height of the page's foot, rem. */
const FOOT = 3;

export function App({ page }: { page: Page }) {
  return (
    <>
      {!page.embedded && <Header page={page} />}
      <WallAlarm page={page} />
      <Notes page={page} />
      {!page.embedded && <Overview page={page} />}
      <Charts page={page} />
      {!page.embedded && <Footer page={page} />}
      <Announcer page={page} />
      {page.question.value && <Later>{({ CommandBar }) => <CommandBar page={page} />}</Later>}
      {page.table.value && (
        <Later>{({ DataTable }) => <DataTable page={page} view={page.table.value!} />}</Later>
      )}
      {page.help.value && <Later>{({ Keys }) => <Keys page={page} />}</Later>}
      <TabState page={page} />
      <Fetching page={page} />
    </>
  );
}

function Charts({ page }: { page: Page }) {
  const all = page.board.panels.value;
  const main = useRef<HTMLElement>(null);
  const room = useSignal({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const measure = (): void => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      const width = Math.floor(main.current!.clientWidth / rem);
      // What the head of the page leaves, and its foot.
      const foot = page.wall.on.value || page.embedded ? 1 : FOOT;
      const height = Math.floor((innerHeight - main.current!.offsetTop) / rem) - foot;
      const last = room.value;
      if (width !== last.width || height !== last.height) room.value = { width, height };
    };
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(main.current!);
    sizes.observe(document.documentElement);
    return () => sizes.disconnect();
  }, []);
  const { width, height } = room.value;
  const panels = page.wall.on.value ? turnOf(all, roomFor(width, height), page.wall.turned.value) : all;
  const { columns, span } = gridOf(panels.length, width, height);
  return (
    <main
      id="charts"
      tabIndex={-1}
      class="charts"
      ref={main}
      data-wide={span > 1 || undefined}
      style={{ '--columns': columns, '--span': span }}
    >
      {panels.map(panel => (
        <ChartPanel key={panel.id} page={page} panel={panel} />
      ))}
    </main>
  );
}
