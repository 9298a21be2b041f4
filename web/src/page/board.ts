import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { type Card, type Layout, readCards, writeCards } from '../model/cards.ts';
import {
  addCard,
  describePanel,
  movePanel,
  reform,
  removePanel,
  retarget,
  splitPanel,
} from '../model/edit.ts';
import type { Form } from '../model/form.ts';
import type { Limits } from '../model/limits.ts';
import { layOut, type Panel, type Situation, STANDARD } from '../model/panels.ts';
import { keep, kept } from './kept.ts';

/** Where the browser keeps the view of a page that no link has told one. */
const KEY = 'stripchart.view';

/** Which charts are on the page, and in which order: what the link says, or what this browser has kept, or the standard. */
export class Board {
  readonly #layout = signal<Layout>({ cards: STANDARD, hidden: [] });
  readonly #placed;
  readonly cards = computed(() => this.#layout.value.cards);
  readonly panels: ReadonlySignal<readonly Panel[]>;
  /** How many metrics have no chart of their own because they are too many. */
  readonly more: ReadonlySignal<number>;
  /** The chart that was added last, until it was shown. */
  readonly added = signal<string | null>(null);
  /** Whether the page is as it is by itself. */
  readonly standard = computed(() => spell(this.#layout.value) === '');
  /** Whether changes are kept: of a view that a link brought, only the link is changed. */
  readonly #kept: boolean;
  readonly #changed: () => void;
  #number = 0;

  /** `told` is what the link says. `changed` is called after a change on the page. */
  constructor(told: Layout | null, situation: ReadonlySignal<Situation>, changed: () => void) {
    const remembered = kept(KEY);
    this.#kept = told === null || spell(told) === remembered;
    this.#changed = changed;
    const layout = told ?? (remembered === null ? null : parse(remembered));
    if (layout) this.#layout.value = layout.cards.length > 0 ? layout : { ...layout, cards: STANDARD };
    this.#placed = computed(() => {
      const { cards, hidden } = this.#layout.value;
      return layOut(cards, hidden, situation.value);
    });
    this.panels = computed(() => this.#placed.value.panels);
    this.more = computed(() => this.#placed.value.more);
  }

  get layout(): Layout {
    return this.#layout.value;
  }

  /** Adds a chart; returns false where the page is full. */
  add(query: string): boolean {
    const id = this.#newId();
    const layout = addCard(this.layout, query, id);
    if (!layout) return false;
    this.#change(layout);
    this.added.value = id;
    return true;
  }

  remove(panel: Panel): void {
    this.#change(removePanel(this.layout, panel));
  }

  describe(panel: Panel, title: string, limits: Limits): void {
    this.#change(describePanel(this.layout, panel, title, limits));
  }

  move(panel: Panel, by: -1 | 1): void {
    this.#change(movePanel(this.layout, this.panels.value, panel, by));
  }

  reform(panel: Panel, form: Form): void {
    this.#change(reform(this.layout, panel, form));
  }

  split(panel: Panel, by: string | null): void {
    this.#change(splitPanel(this.layout, panel, by));
  }

  retarget(panel: Panel, query: string): void {
    this.#change(retarget(this.layout, panel, query));
  }

  /** The page as it is by itself. */
  reset(): void {
    this.#change({ cards: STANDARD, hidden: [] });
  }

  #change(layout: Layout): void {
    this.#layout.value = layout;
    if (this.#kept) keep(KEY, spell(layout));
    this.#changed();
  }

  #newId(): string {
    const taken = new Set(this.layout.cards.map(({ id }: Card) => id));
    do this.#number++;
    while (taken.has(`chart-${this.#number}`));
    return `chart-${this.#number}`;
  }
}

/** A layout as a link spells it; empty for the standard. */
function spell(layout: Layout): string {
  const params = new URLSearchParams();
  writeCards(params, layout, STANDARD);
  return params.toString();
}

function parse(text: string): Layout | null {
  const layout = readCards(new URLSearchParams(text));
  return layout && { cards: layout.cards, hidden: layout.hidden };
}
