import { type Form, isForm } from './form.ts';
import { isUnit, type Unit } from './format.ts';
import { GRAVE, type Limits, limitText, NO_LIMITS, parseLimit } from './limits.ts';

/**
 * One entry of a view: a query, or the name of what the page itself has, which begins with a point: `.cpu` is the chart of
 * CPU, and `.own` stands for a chart of each metric that no other chart shows.
 */
export interface Card {
  /** Unique on the page, and the same as long as the card is on it. */
  readonly id: string;
  readonly query: string;
  /** Where somebody has named it. */
  readonly title: string | null;
  /** Where a link tells it; else the metric's name does. */
  readonly unit: Unit | null;
  readonly limits: Limits;
  /** How it draws its lines; null where that is left to the page. */
  readonly form: Form | null;
  /** The label for each of whose values there is a chart; null for one chart of all. */
  readonly by: string | null;
}

/** What is on the page. */
export interface Layout {
  readonly cards: readonly Card[];
  /** Metrics that `.own` leaves out, because somebody removed their charts. */
  readonly hidden: readonly string[];
}

/** The entry for everything that no other chart shows. */
export const OWN = '.own';

/** Charts that one view may have: each is a room, and the server bounds those. */
export const MAX_CARDS = 24;

/**
 * Reads a view from a link: `chart`, any number of times, each with the `title`, the `unit`, the `form`, the label `by` and the limits `warn` and `bad` behind it, and `hide`. null
 * where the link leaves the view to the page.
 */
export function readCards(params: URLSearchParams): (Layout & { readonly left: number }) | null {
  const cards: Card[] = [];
  const hidden: string[] = [];
  let told = false;
  let left = 0;
  let open = false;
  for (const [key, value] of params) {
    if (key === 'chart' && value !== '') {
      told = true;
      open = cards.length < MAX_CARDS;
      if (open)
        cards.push({
          id: `chart-${cards.length}`,
          query: value,
          title: null,
          unit: null,
          limits: NO_LIMITS,
          form: null,
          by: null,
        });
      else left++;
    } else if (open && key === 'title' && value !== '') {
      cards.push({ ...cards.pop()!, title: value });
    } else if (open && key === 'unit' && isUnit(value)) {
      cards.push({ ...cards.pop()!, unit: value });
    } else if (open && key === 'by' && value !== '') {
      cards.push({ ...cards.pop()!, by: value });
    } else if (open && key === 'form' && isForm(value)) {
      cards.push({ ...cards.pop()!, form: value });
    } else if (open && (key === 'warn' || key === 'bad') && parseLimit(value)) {
      const card = cards.pop()!;
      cards.push({ ...card, limits: { ...card.limits, [key]: parseLimit(value) } });
    } else if (key === 'hide' && value !== '') {
      hidden.push(value);
    }
  }
  if (!told && hidden.length === 0) return null;
  return { cards: told ? cards : [], hidden, left };
}

/** Writes a view into a link's parameters; nothing where it is the page's own. */
export function writeCards(params: URLSearchParams, layout: Layout, standard: readonly Card[]): void {
  for (const key of ['chart', 'title', 'unit', 'form', 'by', ...GRAVE, 'hide']) params.delete(key);
  if (!sameCards(layout.cards, standard)) {
    for (const { query, title, unit, limits, form, by } of layout.cards) {
      params.append('chart', query);
      if (title !== null) params.append('title', title);
      if (unit !== null) params.append('unit', unit);
      if (form !== null) params.append('form', form);
      if (by !== null) params.append('by', by);
      for (const level of GRAVE) if (limits[level]) params.append(level, limitText(limits[level]));
    }
  }
  for (const name of layout.hidden) params.append('hide', name);
}

function sameCards(a: readonly Card[], b: readonly Card[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ query, title, unit, limits, form, by }, i) => {
      const other = b[i]!;
      return (
        query === other.query &&
        title === other.title &&
        unit === other.unit &&
        form === other.form &&
        by === other.by &&
        GRAVE.every(level => limitText(limits[level]) === limitText(other.limits[level]))
      );
    })
  );
}
