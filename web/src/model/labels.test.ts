import { describe, expect, test } from 'vitest';
import { byKey, distinguishing, identity, lineKey, lineTitle, quote, shorten } from './labels.ts';

test('identity does not depend on the order of labels, and never confuses two series', () => {
  expect(identity({ a: '1', b: '2' })).toBe(identity({ b: '2', a: '1' }));
  expect(identity({ a: '1,b=2' })).not.toBe(identity({ a: '1', b: '2' }));
  expect(identity({ a: '' })).not.toBe(identity({}));
});

test('only labels that differ tell series apart', () => {
  const cpu = (n: string) => ({ __name__: 'cpu_usage_percent', cpu: n, host: 'web1' });
  expect(distinguishing([cpu('0'), cpu('1')])).toEqual(['cpu']);
  expect(distinguishing([cpu('0')])).toEqual([]);
  expect(distinguishing([])).toEqual([]);
  expect(distinguishing([{ device: 'sda', __name__: 'a' }, { __name__: 'b' }])).toEqual([
    '__name__',
    'device',
  ]);
});

describe('what a line is called', () => {
  const titles = (...series: Record<string, string>[]) => {
    const apart = distinguishing(series);
    const names = [...new Set(series.map(s => s.__name__ ?? ''))];
    return series.map(s => lineTitle(s, apart, names));
  };

  test('by the labels that tell it apart, and a number by its label too', () => {
    expect(titles({ __name__: 'c', cpu: '0' }, { __name__: 'c', cpu: '1' })).toEqual(['cpu 0', 'cpu 1']);
  });

  test('by the words of its metric that differ', () => {
    expect(
      titles({ __name__: 'disk_read_bytes_per_second' }, { __name__: 'disk_write_bytes_per_second' }),
    ).toEqual(['read', 'write']);
    expect(titles({ __name__: 'memory_used_bytes' }, { __name__: 'swap_used_bytes' })).toEqual([
      'memory',
      'swap',
    ]);
    expect(titles({ __name__: 'load1' }, { __name__: 'load15' })).toEqual(['load1', 'load15']);
  });

  test('never by nothing', () => {
    expect(titles({ __name__: 'up' }, { __name__: 'up_total' })).toEqual(['up', 'up total']);
    expect(titles({ __name__: 'a_b' }, { __name__: 'a_b_b' })).not.toContain('');
  });

  test('alone by its metric', () => {
    expect(titles({ __name__: 'cpu_usage_percent', cpu: 'total' })).toEqual(['cpu usage percent']);
  });
});

test('the key of a colour has the values of the labels that tell apart, and none for a line alone', () => {
  expect(lineKey({ __name__: 'x', cpu: '3', host: 'a' }, ['cpu', 'host'])).toBe('3 a');
  expect(lineKey({ __name__: 'x', cpu: '3' }, [])).toBe('');
});

test('lines are ordered as a person would order them', () => {
  expect(['cpu 10', 'cpu 9', 'cpu 1'].sort(byKey)).toEqual(['cpu 1', 'cpu 9', 'cpu 10']);
});

test('a value is quoted as PromQL reads it', () => {
  expect(quote('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
});

test('titles lose what they have in common', () => {
  const path = '/api/v1/very/long/path';
  expect(shorten([`${path}/a`, `${path}/b`], 'Requests')).toEqual(['…a', '…b']);
  expect(shorten(['memory used', 'memory total', 'swap used'], 'Memory')).toEqual([
    'used',
    'total',
    'swap used',
  ]);
  expect(shorten(['memory used', 'used'], 'Memory')).toEqual(['memory used', 'used']);
  expect(shorten(['eth0', 'eth1'], 'Network')).toEqual(['eth0', 'eth1']);
  expect(shorten(['some/long/path/', 'some/long/path/x'], '')).toEqual([
    'some/long/path/',
    'some/long/path/x',
  ]);
});
