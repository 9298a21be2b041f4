import type { Page } from '../page/page.ts';
import { Announcer } from './Announcer.tsx';
import { ChartPanel } from './ChartPanel.tsx';
import { Footer } from './Footer.tsx';
import { Header } from './Header.tsx';

export function App({ page }: { page: Page }) {
  return (
    <>
      <Header page={page} />
      <main class={page.ownCharts ? 'charts' : 'charts vitals'}>
        {page.panels.value.map(panel => (
          <ChartPanel key={panel.id} page={page} panel={panel} />
        ))}
      </main>
      <Footer page={page} />
      <Announcer page={page} />
    </>
  );
}
