import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const path = join(import.meta.dirname, '../package-lock.json');
const packages: Readonly<Record<string, Package>> = JSON.parse(readFileSync(path, 'utf8')).packages;

test('names no place to fetch packages from: every reader has a registry of their own', () => {
  expect(Object.entries(packages).filter(([, p]) => p.resolved)).toEqual([]);
});

test('pins every package by its checksum', () => {
  expect(Object.entries(packages).filter(([name, p]) => name !== '' && !p.integrity)).toEqual([]);
});

test('covers native packages of all platforms, not only of the one it was written on', () => {
  const missing = Object.entries(packages).flatMap(([name, p]) =>
    Object.keys(p.optionalDependencies ?? {}).filter(
      optional => !packages[`node_modules/${optional}`] && !packages[`${name}/node_modules/${optional}`],
    ),
  );
  expect(missing).toEqual([]);
});
