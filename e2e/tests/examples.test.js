import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startChild } from '../support/children.js';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const examples = await readFile(join(ROOT, 'docs/EXAMPLES.md'), 'utf8');
const PYTHON = '/usr/bin/python3';

/**
 * The code of an example, for a server elsewhere.
 *
 * @param {string} heading
 * @param {string} url
 */
function code(heading, url) {
  const [, section = ''] = examples.split(`\n## ${heading}\n`);
  const text = /```\w+\n(.+?)```/s.exec(section)?.[1] ?? '';
  assert.ok(text.includes('127.0.0.1:5000'), `${heading} names the default address`);
  return text.replaceAll('127.0.0.1:5000', new URL(url).host);
}

/**
 * The values of room_celsius that the server has of a room, oldest first.
 *
 * @param {string} url
 * @param {string} room
 */
async function values(url, room) {
  const query = encodeURIComponent(`room_celsius{room="${room}"}[1m]`);
  const answer = await (await fetch(`${url}/api/v1/query?query=${query}`)).json();
  return (answer.data.result[0]?.values ?? []).map((/** @type {[number, string]} */ [, value]) =>
    Number(value),
  );
}

for (const { heading, room, file, command, sent } of [
  { heading: 'curl', room: 'curl', file: 'example.sh', command: ['sh'], sent: [21.5] },
  {
    heading: 'Python, with its standard library',
    room: 'python',
    file: 'example.py',
    command: [PYTHON, '-I', '-S'],
    sent: [21.5, 21.6],
  },
  { heading: 'Node.js', room: 'node', file: 'example.mjs', command: [process.execPath], sent: [21.5] },
  { heading: 'Go', room: 'go', file: 'example.go', command: ['go', 'run'], sent: [21.5] },
]) {
  test(
    `the example for ${heading} sends its numbers`,
    scene(async scene => {
      const program = await scene.start('--interval', '1h');
      // Not in the test's folder: the go command would take it for a package of the product.
      const folder = await mkdtemp(join(tmpdir(), 'stripchart-example-'));
      scene.closing(() => rm(folder, { recursive: true }));
      const path = join(folder, file);
      await writeFile(path, code(heading, program.url));
      const [name = '', ...args] = command;
      const { stdout } = await run(name, [...args, path]);
      assert.match(stdout, /written/);
      assert.deepEqual(await values(program.url, room), sent);
    }),
  );
}

test(
  'the bytes of the example for a microcontroller are a request',
  scene(async scene => {
    const program = await scene.start('--interval', '1h');
    const [head = '', body = ''] = code('A microcontroller', program.url).trimEnd().split('\n\n');
    const socket = connect(program.port, '127.0.0.1');
    socket.write(`${head.replaceAll('\n', '\r\n')}\r\n\r\n${body}`);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /^HTTP\/1\.[01] 200 /);
    assert.deepEqual(await values(program.url, 'esp'), [21.5]);
  }),
);

test(
  'the viewer in Python prints every sample once, through a lost connection and a restart of the server',
  scene(async scene => {
    const program = await scene.start('--interval', '1h');
    // The viewer comes through here, so that its connection can be cut.
    /** @type {Set<import('node:net').Socket>} */
    const open = new Set();
    let connections = 0;
    const cutter = createServer(socket => {
      connections++;
      const upstream = connect(program.port, '127.0.0.1');
      for (const side of [socket, upstream]) {
        open.add(side);
        side.on('error', () => {});
        side.on('close', () => {
          open.delete(side);
          socket.destroy();
          upstream.destroy();
        });
      }
      socket.pipe(upstream).pipe(socket);
    });
    await new Promise(resolve => cutter.listen(0, '127.0.0.1', () => resolve(null)));
    const cut = () => {
      for (const side of open) side.destroy();
    };
    scene.closing(() => {
      cutter.close();
      cut();
    });
    const { port } = /** @type {import('node:net').AddressInfo} */ (cutter.address());

    const path = scene.path('viewer.py');
    // Standard error is what the harness reads.
    const prelude = 'import sys\nsys.stdout = sys.stderr\n';
    await writeFile(path, prelude + code('A viewer in Python that resumes', `http://127.0.0.1:${port}`));
    const { child, exited } = startChild(PYTHON, ['-s', path]);
    scene.closing(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    /** @type {string[]} */
    const printed = [];
    createInterface(/** @type {import('node:stream').Readable} */ (child.stderr)).on('line', line =>
      printed.push(line),
    );

    let n = 0;
    const send = async () => {
      const answer = await fetch(`${program.url}/api/v1/push/room_celsius?room=lab`, {
        method: 'POST',
        body: String(++n),
      });
      assert.equal(answer.status, 200);
    };
    const everything = () => until(`${n} samples are printed`, () => printed.length >= n);
    await send();
    await everything();
    cut();
    await send(); // while the viewer is away
    await everything();
    await send();
    await everything();
    assert.ok(connections >= 2, 'it has connected again');
    await program.kill();
    await program.start();
    await send();
    await everything();
    assert.deepEqual(
      printed.map(line => line.replace(/^\d+ /, '')),
      Array.from({ length: n }, (_, i) => `${i + 1} __name__=room_celsius,room=lab`),
    );
  }),
);
