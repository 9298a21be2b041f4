import { expect, test } from 'vitest';
import { Inbox } from './inbox.ts';
import type { Samples } from './samples.ts';

/** A chart that takes its time: it is done with a drawing when the test says so. */
function slowChart(most = 100) {
  const shown: string[] = [];
  const done: (() => void)[] = [];
  const work = (verb: string) => (samples: Samples) => {
    shown.push(`${verb} ${samples.x.join(',')}`);
    return new Promise<void>(resolve => done.push(resolve));
  };
  const finish = async () => {
    done.shift()!();
    await new Promise(resolve => setTimeout(resolve));
  };
  return { inbox: new Inbox(most, work('draw'), work('extend')), shown, finish };
}

const at = (...x: string[]): Samples => ({ x, y: x.map(Number) });

test('what comes while the chart is drawn is drawn together afterwards', async () => {
  const { inbox, shown, finish } = slowChart();
  inbox.replace(at('1'));
  for (const t of ['2', '3', '4']) inbox.append(at(t));
  expect(shown).toEqual(['draw 1']);
  await finish();
  expect(shown).toEqual(['draw 1', 'extend 2,3,4']);
  inbox.append(at('5'));
  await finish();
  expect(shown.at(-1)).toBe('extend 5');
});

test('a history replaces what waits, which it contains', async () => {
  const { inbox, shown, finish } = slowChart();
  inbox.replace(at('1'));
  inbox.append(at('2'));
  inbox.replace(at('1', '2', '3'));
  inbox.append(at('4'));
  await finish();
  await finish();
  expect(shown).toEqual(['draw 1', 'draw 1,2,3', 'extend 4']);
});

test('no more waits than the chart keeps, the newest', async () => {
  const { inbox, shown, finish } = slowChart(2);
  inbox.replace(at('1'));
  for (const t of ['2', '3', '4']) inbox.append(at(t));
  await finish();
  expect(shown.at(-1)).toBe('extend 3,4');
});

test('an update without samples draws nothing', () => {
  const { inbox, shown } = slowChart();
  inbox.append(at());
  expect(shown).toEqual([]);
});
