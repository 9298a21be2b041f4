import { expect, test } from 'vitest';
import { fixture } from '../testing/fixtures.ts';
import { Catalogue } from './catalogue.ts';
import { decodeCatalogueAck, decodeCatalogueChange } from './decode.ts';
import type { Labels } from './wire.ts';

function recorded(): readonly Labels[] {
  const ack = decodeCatalogueAck(fixture('catalogue').ack);
  if (!ack.ok) throw new Error(ack.code);
  return ack.series;
}

const load = { __name__: 'load1', host: 'web1' };
const names = (catalogue: Catalogue) =>
  catalogue.series.map(({ __name__, cpu }) => `${__name__}${cpu ?? ''}`);

test('series come and go', () => {
  const catalogue = new Catalogue();
  catalogue.replace([...recorded(), load]);
  expect(names(catalogue)).toEqual(['cpu_usage_percent0', 'cpu_usage_percent1', 'load1']);
  catalogue.change(decodeCatalogueChange(fixture('catalogue-event').arg));
  expect(names(catalogue)).toEqual(['cpu_usage_percent1', 'load1', 'cpu_usage_percent2']);
  catalogue.change({ added: [], gone: [{ host: 'web1', __name__: 'load1' }] });
  expect(names(catalogue)).toEqual(['cpu_usage_percent1', 'cpu_usage_percent2']);
});

test('another answer replaces the one before, and what stays keeps its place', () => {
  const catalogue = new Catalogue();
  catalogue.replace([load, ...recorded()]);
  catalogue.replace([{ __name__: 'a' }, ...recorded(), load]);
  expect(names(catalogue)).toEqual(['load1', 'cpu_usage_percent0', 'cpu_usage_percent1', 'a']);
  catalogue.replace([]);
  expect(catalogue.series).toEqual([]);
});
