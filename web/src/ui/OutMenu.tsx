import type { Panel } from '../model/panels.ts';
import { copy, fileName, pngOf, save } from '../page/out.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';

/** How a chart leaves the page: over the whole screen, as a picture, as numbers, as a link. */
export function OutMenu({ page, panel, view, close }: OutMenuProps) {
  const act = (run: () => unknown) => (): void => {
    close();
    Promise.resolve(run()).catch(error => {
      page.notice.value = `That could not be done: ${error.message}`;
    });
  };
  const now = (): number => page.time.at(page.clock.now()).to;
  const picture = async (kind: 'svg' | 'png'): Promise<void> => {
    const svg = view.picture();
    if (svg === null) throw new Error('the chart has nothing to show');
    const [, width = 0, height = 0] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
    const content =
      kind === 'svg' ? new Blob([svg], { type: 'image/svg+xml' }) : await pngOf(svg, width, height);
    save(fileName(panel.title, now(), kind), content);
  };
  const csv = (): void =>
    save(fileName(panel.title, now(), 'csv'), new Blob([view.csv()], { type: 'text/csv' }));
  const fill = () => document.getElementById(panel.id)!.closest('section')!.requestFullscreen();
  return (
    <div class="out">
      <button type="button" onClick={act(fill)}>
        Full screen
      </button>
      <button type="button" onClick={act(() => copy(page.linkOf(panel)))}>
        Copy link
      </button>
      <button type="button" onClick={act(() => picture('png'))}>
        PNG
      </button>
      <button type="button" onClick={act(() => picture('svg'))}>
        SVG
      </button>
      <button type="button" onClick={act(csv)}>
        CSV
      </button>
    </div>
  );
}

export interface OutMenuProps {
  readonly page: Page;
  readonly panel: Panel;
  readonly view: View;
  /** Closes the menu. */
  readonly close: () => void;
}
