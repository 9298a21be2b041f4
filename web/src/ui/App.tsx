import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { gridOf } from '../model/grid.ts';
import type { Page } from '../page/page.ts';
import { Announcer } from './Announcer.tsx';
import { ChartPanel } from './ChartPanel.tsx';
import { CommandBar } from './CommandBar.tsx';
import { Footer } from './Footer.tsx';
import { Header } from './Header.tsx';
import { Keys } from './Keys.tsx';
import { Notes } from './Notes.tsx';
import { TabState } from './TabState.tsx';

export function App({ page }: { page: Page }) {
  return (
    <>
      <Header page={page} />
      <Notes page={page} />
      <Charts page={page} />
      <Footer page={page} />
      <Announcer page={page} />
      <CommandBar page={page} />
      <Keys page={page} />
      <TabState page={page} />
    </>
  );
}

function Charts({ page }: { page: Page }) {
  const panels = page.board.panels.value;
  const main = useRef<HTMLElement>(null);
  const width = useSignal(0);
  useLayoutEffect(() => {
    const measure = (): void => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      width.value = Math.floor(main.current!.clientWidth / rem);
    };
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(main.current!);
    return () => sizes.disconnect();
  }, []);
  const { columns, span } = gridOf(panels.length, width.value);
  return (
    <main class="charts" ref={main} style={{ '--columns': columns, '--span': span }}>
      {panels.map(panel => (
        <ChartPanel key={panel.id} page={page} panel={panel} />
      ))}
    </main>
  );
}
