import { expect, test } from 'vitest';
import type { Layout } from './cards.ts';
import { addCard, describePanel, movePanel, removePanel, retarget } from './edit.ts';
import { NO_LIMITS } from './limits.ts';
import { layOut, type Panel, STANDARD } from './panels.ts';

const SERIES = [{ __name__: 'a' }, { __name__: 'b' }, { __name__: 'load5', host: 'web1' }];
const START: Layout = { cards: STANDARD, hidden: [] };
const panelsOf = ({ cards, hidden }: Layout) =>
  layOut(cards, hidden, { host: null, hosts: [], series: SERIES }).panels;
const titles = (layout: Layout) => panelsOf(layout).map(panel => panel.title);
const find = (layout: Layout, title: string) => panelsOf(layout).find(panel => panel.title === title)!;
const move = (layout: Layout, title: string, by: -1 | 1) =>
  movePanel(layout, panelsOf(layout), find(layout, title), by);

const described = (layout: Layout, panel: Panel, title: string) =>
  describePanel(layout, panel, title, NO_LIMITS);

test('a chart is added before those that come by themselves, or at the end', () => {
  expect(titles(addCard(START, 'load1', 'x')!).slice(0, 4)).toEqual(['Load1', 'A', 'B', 'CPU']);
  const own: Layout = {
    cards: [{ id: 'c', query: 'c', title: null, unit: null, limits: NO_LIMITS, form: null, by: null }],
    hidden: [],
  };
  expect(titles(addCard(own, 'load1', 'x')!)).toEqual(['C', 'Load1']);
});

test('a full view takes no more', () => {
  let layout: Layout | null = { cards: [], hidden: [] };
  for (let i = 0; i < 24; i++) layout = addCard(layout!, 'up', `${i}`);
  expect(addCard(layout!, 'up', 'more')).toBeNull();
});

test('a chart is removed, whether it was chosen or came by itself', () => {
  const without = removePanel(removePanel(START, find(START, 'CPU')), find(START, 'A'));
  expect(titles(without).slice(0, 2)).toEqual(['B', 'CPU by core']);
});

test('a chart has the title that it was given, and its own again when that is taken away', () => {
  const named = described(described(START, find(START, 'B'), ' The b '), find(START, 'CPU'), 'Work');
  expect(titles(named).slice(0, 3)).toEqual(['The b', 'A', 'Work']);
  expect(titles(described(named, find(named, 'Work'), ''))[2]).toBe('CPU');
});

test('a chart moves one place at a time, and over those that come by themselves', () => {
  const once = move(START, 'CPU by core', -1);
  expect(titles(once).slice(0, 4)).toEqual(['A', 'B', 'CPU by core', 'CPU']);
  const over = move(once, 'CPU by core', -1);
  expect(titles(over).slice(0, 3)).toEqual(['CPU by core', 'A', 'B']);
  expect(titles(move(over, 'B', 1)).slice(0, 4)).toEqual(['CPU by core', 'A', 'CPU', 'B']);
  expect(titles(move(START, 'A', -1))).toEqual(titles(START));
});

test('a chart may show something else', () => {
  const changed = retarget(START, find(START, 'CPU'), 'load1');
  expect(titles(changed)[2]).toBe('Load1');
});
