import type { Panel } from '../model/panels.ts';
import type { Page } from '../page/page.ts';
import type { View } from '../page/view.ts';
import * as texts from '../texts.ts';
import { Later } from './Later.tsx';
import { Menu } from './Menu.tsx';

/** What can be done with a chart. */
export function CardMenu({ page, panel, view }: { page: Page; panel: Panel; view: View | null }) {
  return (
    <Menu label={texts.change(panel.title)}>
      {close => (
        <Later>{({ CardSheet }) => <CardSheet page={page} panel={panel} view={view} close={close} />}</Later>
      )}
    </Menu>
  );
}
