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

test('metrics come and go with their series', () => {
  const catalogue = new Catalogue();
  const load = { __name__: 'load1', host: 'web1' };
  catalogue.replace([...recorded(), load]);
  expect([...catalogue.names]).toEqual(['cpu_usage_percent', 'load1']);
  // One core comes and one goes: the metric stays.
  catalogue.change(decodeCatalogueChange(fixture('catalogue-event').arg));
  expect(catalogue.names.has('cpu_usage_percent')).toBe(true);
  catalogue.change({ added: [], gone: [{ host: 'web1', __name__: 'load1' }] });
  expect([...catalogue.names]).toEqual(['cpu_usage_percent']);
});

test('another answer replaces the one before', () => {
  const catalogue = new Catalogue();
  catalogue.replace(recorded());
  catalogue.replace([]);
  expect(catalogue.names.size).toBe(0);
});
