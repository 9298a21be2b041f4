import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ui = join(import.meta.dirname, '../src/ui');

/** Attributes whose words a reader sees or hears. */
const SPOKEN = /\s(?:title|label|placeholder|aria-label|aria-description)="([^"]+)"/g;

/** Words between tags. */
const BETWEEN = />\s*([^<>{}()=;&|]*[A-Za-z]{3,}[^<>{}()=;&|]*)\s*</g;

test.each(readdirSync(ui).filter(name => name.endsWith('.tsx')))(
  '%s has no words of its own: they stand in texts.ts',
  name => {
    const code = readFileSync(join(ui, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    const spoken = [...code.matchAll(SPOKEN)].map(match => match[1]);
    const markup = code.split('\n').filter(line => !/^(import|export (interface|type))/.test(line));
    const between = [...markup.join('\n').matchAll(BETWEEN)].map(match => match[1]!.trim());
    expect([...spoken, ...between]).toEqual([]);
  },
);
