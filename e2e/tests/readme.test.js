import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startChild } from '../support/children.js';
import { ROOT, stripchart } from '../support/paths.js';
import { scene } from '../support/scene.js';

const readme = await readFile(join(ROOT, 'README.md'), 'utf8');

test('the README names every option of the program, and no other', async () => {
  const { stdout } = await promisify(execFile)(stripchart(), ['--help']);
  const offered = [...stdout.matchAll(/^ {2,6}(?:-\w, )?(--[\w-]+)/gm)].map(found => found[1]);
  const named = [...readme.matchAll(/^\| `(--[\w-]+)`/gm)].map(found => found[1]);
  assert.deepEqual(
    named,
    offered.filter(option => option !== '--help'),
  );
});

test(
  'the README’s example of /live prints samples',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const example = /```js\n(import .+?)```/s.exec(readme)?.[1] ?? '';
    assert.ok(example.includes('http://127.0.0.1:5000'), 'the example uses the default address');
    const path = scene.path('example.mjs');
    // Standard error is what the harness reads.
    const prelude = 'console.log = (...words) => console.error(...words);\n';
    await writeFile(path, prelude + example.replace('http://127.0.0.1:5000', program.url));

    const { child, exited } = startChild(process.execPath, [path]);
    scene.closing(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const lines = createInterface(/** @type {import('node:stream').Readable} */ (child.stderr));
    const seen = [];
    for await (const line of lines) {
      assert.match(line, /^\d{4}-\d\d-\d\dT\S+Z cpu_usage_percent of CPU (total|\d+) [\d.]+$/);
      if (seen.push(line) === 20) break;
    }
    assert.equal(seen.length, 20);
  }),
);
