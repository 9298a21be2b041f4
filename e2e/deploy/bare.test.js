import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chown, cp, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../clients/support/port.js';
import { startChild } from '../support/children.js';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { DIST, handedOut } from './handed-out.js';

test(
  'the archive runs from an empty folder on a machine that has nothing else: no library, no shell, no /proc, no user',
  scene(async scene => {
    const root = scene.path('root');
    await mkdir(root);
    await promisify(execFile)('tar', [
      '-xzf',
      await handedOut('.tar.gz'),
      '-C',
      root,
      '--strip-components=1',
    ]);
    const names = await readdir(root);
    for (const name of ['stripchart', 'README.md', 'LICENSE', 'deploy', 'docs', 'share'])
      assert.ok(names.includes(name), `${name} of ${names}`);
    await serves(scene, root, ['/stripchart'], { uid: 0 });
    assert.ok(
      (await readdir(root)).includes('.local'),
      'its data is below its home, which is the empty folder',
    );
  }),
);

test(
  'the image has all that the Containerfile copies, and serves the page as its user',
  scene(async scene => {
    const root = scene.path('image');
    await mkdir(root);
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const lines = (await readFile(join(ROOT, 'Containerfile'), 'utf8'))
      .split('\n')
      .filter(line => line && !line.startsWith('#'))
      .map(line => line.replaceAll(/\$\{TARGETARCH\}/g, arch));
    /** @type {Record<string, string>} */
    const env = {};
    let [uid, from, ports] = [0, '', ''];
    /** @type {string[]} */
    let command = [];
    for (const line of lines) {
      const [instruction = '', ...words] = line.split(' ');
      const said = words.join(' ');
      if (instruction === 'FROM') from = said;
      else if (instruction === 'COPY') await copy(root, words);
      else if (instruction === 'ENV') env[said.split('=')[0] ?? ''] = said.split('=')[1] ?? '';
      else if (instruction === 'USER') uid = Number(said.split(':')[0]);
      else if (instruction === 'EXPOSE') ports = said;
      else if (instruction === 'ENTRYPOINT') command = JSON.parse(said);
      else assert.ok(['ARG', 'VOLUME'].includes(instruction), `an instruction that the test knows: ${line}`);
    }
    assert.deepEqual([from, uid, ports], ['scratch', 65532, '5000']);
    await serves(scene, root, command, { uid, env });
    assert.ok((await readdir(join(root, 'data'))).length > 0, 'its data is in the volume');
  }),
);

/**
 * Starts a program in a folder that is all that it can see, asks it for its page, and writes a number to it.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} root
 * @param {readonly string[]} command
 * @param {{ uid: number, env?: Record<string, string> }} as
 */
async function serves(scene, root, command, { uid, env = {} }) {
  assert.equal(
    process.getuid?.(),
    0,
    'a folder can be made the whole machine by root only; run the tests as root',
  );
  const address = `127.0.0.1:${await freePort()}`;
  const names = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const { child, exited } = startChild('env', [
    ...['-i', ...names, '/usr/sbin/chroot', `--userspec=${uid}:${uid}`, root],
    ...[...command, '--listen', address],
  ]);
  let said = '';
  child.stderr?.on('data', text => {
    said += text;
  });
  scene.closing(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const page = await until('the page', async () => {
    assert.equal(child.exitCode, null, said);
    const ready = await fetch(`http://${address}/readyz`).catch(() => null);
    return ready?.ok && (await fetch(`http://${address}/`)).text();
  });
  assert.match(page, /<script/);
  const pushed = await fetch(`http://${address}/api/v1/push/room_celsius`, { method: 'POST', body: '21.5' });
  assert.ok(pushed.ok, `${pushed.status}`);
  const { data } = await (await fetch(`http://${address}/api/v1/query?query=room_celsius`)).json();
  assert.equal(data.result[0]?.value[1], '21.5');
}

/**
 * Does what COPY does.
 *
 * @param {string} root of the image
 * @param {readonly string[]} words behind COPY
 */
async function copy(root, words) {
  const [source = '', to = '', ...more] = words.filter(word => !word.startsWith('--'));
  assert.equal(more.length, 0, `${words}`);
  assert.ok(await stat(join(DIST, source)), `${source} after make dist`);
  const path = join(root, to);
  await mkdir(dirname(path), { recursive: true });
  await cp(join(DIST, source), path, { recursive: true });
  const owner = /^--chown=(\d+):(\d+)$/.exec(words.find(word => word.startsWith('--')) ?? '');
  if (owner) await chown(path, Number(owner[1]), Number(owner[2]));
}
