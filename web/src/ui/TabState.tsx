import { useSignalEffect } from '@preact/signals';
import type { Condition } from '../model/condition.ts';
import type { Level } from '../model/limits.ts';
import { titleOf } from '../model/tab.ts';
import type { Page } from '../page/page.ts';
import icon from './icon.svg?raw';

/** The icon's ground where something is wrong. In the page itself: a server that is gone sends no pictures. */
const GROUNDS: Partial<Record<Condition['kind'], string>> = {
  stale: '#b87400',
  'not-recorded': '#b87400',
  lost: '#b3261e',
  stopped: '#b3261e',
};

/** And where a value is beyond a limit. */
const LEVELS: Partial<Record<Level, string>> = { warn: '#b87400', bad: '#b3261e' };

/** Tells by the tab how the page stands: in its title, and in the colour of its icon. */
export function TabState({ page }: { page: Page }) {
  useSignalEffect(() => {
    const alarm = page.alarm.value;
    const ground = GROUNDS[page.condition.value.kind] ?? (alarm && LEVELS[alarm.level]);
    const picture = ground ? icon.replace('#0063a0', ground) : icon;
    document
      .querySelector('link[rel="icon"]')!
      .setAttribute('href', `data:image/svg+xml,${encodeURIComponent(picture)}`);
  });
  useSignalEffect(() => {
    const hosts = page.hosts.value;
    const host = page.host.value ?? (hosts.length === 1 ? hosts[0]! : null);
    document.title = titleOf({
      condition: page.condition.value,
      paused: page.time.fixed.value !== null,
      alarm: page.alarm.value,
      reading: page.reading.value,
      host,
    });
  });
  return null;
}
