import { describe, expect, test } from 'vitest';
import { compile, nameSelector, ofHost, parseSelector, selectorText, seriesSelector } from './selector.ts';

describe('reading a selector', () => {
  test.each([
    ['load1', 'load1'],
    [' load1 { } ', 'load1'],
    ['cpu{a="1", b!=\'2\',c=~`x|y`,}', 'cpu{a="1",b!="2",c=~"x|y"}'],
    ['{"http.requests",code!~"5.."}', '{__name__="http.requests",code!~"5.."}'],
    ['{__name__="up"}', 'up'],
    ['up{a="q\\"uo\\\\te\\n"}', 'up{a="q\\"uo\\\\te\\n"}'],
  ])('%s', (text, written) => {
    expect(selectorText(parseSelector(text)!)).toBe(written);
  });

  test.each([
    '',
    '{}',
    'rate(load1[1m])',
    'load1{',
    'load1{a}',
    'http.requests',
    'a{b="c" d="e"}',
    'load1 5',
  ])('none: %s', text => {
    expect(parseSelector(text)).toBeNull();
  });
});

test('a selector selects what it does on the server', () => {
  const series = { __name__: 'cpu', core: '10', mode: 'user' };
  const selects = (text: string) => compile(parseSelector(text)!)(series);
  expect(['cpu', 'cpu{core=~"1."}', 'cpu{host=""}', 'cpu{mode=~"(?i)USER"}'].map(selects)).not.toContain(
    false,
  );
  expect(
    ['gpu', 'cpu{core=~"1"}', 'cpu{core!="10"}', 'cpu{mode!~"u.*"}', 'cpu{mode=~"("}'].map(selects),
  ).not.toContain(true);
});

test('names that need quotes get them', () => {
  expect([nameSelector('load1'), nameSelector('http.requests')]).toEqual([
    'load1',
    '{__name__="http.requests"}',
  ]);
  expect(seriesSelector({ __name__: 'a', b: 'c"d' })).toBe('a{b="c\\"d"}');
});

test('a host narrows a query that does not speak of hosts', () => {
  expect(ofHost('load1', 'web.1')).toBe('load1{host=~"|web\\\\.1"}');
  expect(ofHost('load1{host="db"}', 'web1')).toBe('load1{host="db"}');
  expect(ofHost('rate(load1[1m])', 'web1')).toBe('rate(load1[1m])');
  expect(ofHost('load1', null)).toBe('load1');
  const narrowed = compile(parseSelector(ofHost('load1', 'web.1'))!);
  expect([{ host: 'web.1' }, { host: 'webx1' }, {}].map(l => narrowed({ __name__: 'load1', ...l }))).toEqual([
    true,
    false,
    true,
  ]);
});
