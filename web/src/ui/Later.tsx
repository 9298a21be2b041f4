import { signal, useSignalEffect } from '@preact/signals';
import type { ComponentChildren } from 'preact';

import type { Page } from '../page/page.ts';

type Seldom = typeof import('./seldom.ts');

const seldom = signal<Seldom | null>(null);
let coming = false;

/** How long after the page is live it fetches what is seldom needed, ms. */
const SOON = 2_000;

/** Has the browser fetch what is seldom needed. Where that fails, the next call tries again. */
export function fetchSeldom(): void {
  if (coming) return;
  coming = true;
  import('./seldom.ts').then(
    parts => {
      seldom.value = parts;
    },
    () => {
      coming = false;
    },
  );
}

/** Fetches what is seldom needed when it is asked for, and once the page is live: later the server may be gone. */
export function Fetching({ page }: { page: Page }) {
  useSignalEffect(() => {
    if (page.question.value || page.help.value || page.table.value) fetchSeldom();
    else if (page.condition.value.kind === 'live') setTimeout(fetchSeldom, SOON);
  });
  return null;
}

/** Something of what is seldom needed, as soon as it is here. */
export function Later({ children }: { children: (parts: Seldom) => ComponentChildren }) {
  return seldom.value && <>{children(seldom.value)}</>;
}
