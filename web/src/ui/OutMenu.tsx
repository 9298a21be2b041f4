import { csvOf } from '../model/csv.ts';
import type { Panel } from '../model/panels.ts';
import { copy, fileName, pngOf, save, svgOf } from '../page/out.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';

/** How a chart leaves the page: over the whole screen, as a picture, as numbers, as a link. */
export function OutMenu({ page, panel, view, close }: OutMenuProps) {
  const act = (run: () => unknown) => (): void => {
    close();
    Promise.resolve(run()).catch(error => {
      page.notice.value = texts.failed(error.message);
    });
  };
  const now = (): number => page.time.at(page.clock.now()).to;
  const picture = async (kind: 'svg' | 'png'): Promise<void> => {
    const picture = view.picture();
    if (!picture) throw new Error(texts.EMPTY_PICTURE);
    const svg = svgOf(picture);
    const content =
      kind === 'svg'
        ? new Blob([svg], { type: 'image/svg+xml' })
        : await pngOf(svg, picture.width, picture.height);
    save(fileName(panel.title, now(), kind), content);
  };
  const csv = (): void => {
    const { from, to } = page.time.at(page.clock.now());
    save(
      fileName(panel.title, now(), 'csv'),
      new Blob([csvOf(view.columns(), from, to)], { type: 'text/csv' }),
    );
  };
  const fill = () => document.getElementById(panel.id)!.closest('section')!.requestFullscreen();
  return (
    <div class="out">
      <button type="button" onClick={act(fill)}>
        {texts.FULL_SCREEN}
      </button>
      <button type="button" onClick={act(() => copy(page.linkOf(panel)))}>
        {texts.COPY_LINK}
      </button>
      <button
        type="button"
        onClick={act(() => {
          page.table.value = view;
        })}
      >
        {texts.TABLE}
      </button>
      <button type="button" onClick={act(() => picture('png'))}>
        {texts.PNG}
      </button>
      <button type="button" onClick={act(() => picture('svg'))}>
        {texts.SVG}
      </button>
      <button type="button" onClick={act(csv)}>
        {texts.CSV}
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
