import { type Card, type Layout, MAX_CARDS, OWN } from './cards.ts';
import type { Form } from './form.ts';
import { type Limits, NO_LIMITS } from './limits.ts';
import type { Panel } from './panels.ts';

/**
 * Changes of a view, each a new layout. A chart that came by itself becomes a card when it is moved or named: from then on
 * it is there whether there are samples or not.
 */

/** Adds a chart of `query`: before the charts that come by themselves, else at the end. null where there is no room. */
export function addCard(layout: Layout, query: string, id: string): Layout | null {
  if (layout.cards.length >= MAX_CARDS) return null;
  const card = { id, query, title: null, unit: null, limits: NO_LIMITS, form: null, by: null };
  return { ...layout, cards: insert(layout.cards, ownPlace(layout.cards), card) };
}

/** Takes a chart away; one that came by itself stays away. */
export function removePanel(layout: Layout, { card, metric }: Panel): Layout {
  if (card) return { ...layout, cards: layout.cards.filter(({ id }) => id !== card.id) };
  return metric === null ? layout : { ...layout, hidden: [...layout.hidden, metric] };
}

/** Gives a chart a title of its own, or takes it away where it is empty, and limits. */
export function describePanel(layout: Layout, panel: Panel, title: string, limits: Limits): Layout {
  return change(layout, panel, card => ({ ...card, title: title.trim() || null, limits }));
}

/** Has a chart draw its lines in another form. */
export function reform(layout: Layout, panel: Panel, form: Form): Layout {
  return change(layout, panel, card => ({ ...card, form }));
}

/** Makes a chart for each value of a label, or one of all again. */
export function splitPanel(layout: Layout, panel: Panel, by: string | null): Layout {
  return change(layout, panel, card => ({ ...card, by }));
}

/** Has a chart show another query. */
export function retarget(layout: Layout, panel: Panel, query: string): Layout {
  return change(layout, panel, card => ({ ...card, query }));
}

/** Moves a chart one place back or forth among `panels`, the charts as they stand. */
export function movePanel(layout: Layout, panels: readonly Panel[], panel: Panel, by: -1 | 1): Layout {
  const neighbour = panels[panels.findIndex(({ id }) => id === panel.id) + by];
  if (!neighbour) return layout;
  const without = layout.cards.filter(({ id }) => id !== panel.card?.id);
  const place = neighbour.card
    ? without.findIndex(({ id }) => id === neighbour.card!.id)
    : without.findIndex(({ query }) => query === OWN);
  return { ...layout, cards: insert(without, by === -1 ? place : place + 1, cardOf(panel)) };
}

function change(layout: Layout, panel: Panel, edit: (card: Card) => Card): Layout {
  const cards = panel.card ? layout.cards : insert(layout.cards, ownPlace(layout.cards), cardOf(panel));
  const id = (panel.card ?? cardOf(panel)).id;
  return { ...layout, cards: cards.map(card => (card.id === id ? edit(card) : card)) };
}

/** The card that a chart is, or becomes. It keeps its id, so that the chart on the screen stays the same one. */
function cardOf({ id, card, query, metric }: Panel): Card {
  return (
    card ?? { id, query: metric ?? query, title: null, unit: null, limits: NO_LIMITS, form: null, by: null }
  );
}

function ownPlace(cards: readonly Card[]): number {
  const place = cards.findIndex(({ query }) => query === OWN);
  return place === -1 ? cards.length : place;
}

function insert(cards: readonly Card[], place: number, card: Card): Card[] {
  return [...cards.slice(0, place), card, ...cards.slice(place)];
}
