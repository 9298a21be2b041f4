import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';

test(
  'a page of another site can neither read the page nor open a socket, under its own name or from outside',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const here = `127.0.0.1:${program.port}`;
    const paths = ['/', '/plotly', '/metrics', '/socket.io/?EIO=4&transport=polling'];
    for (const path of paths) {
      for (const headers of [
        { host: here },
        { host: here, origin: program.url },
        { host: `localhost:${program.port}` },
      ]) {
        assert.equal((await ask(program, path, headers)).status, 200, `${path} ${JSON.stringify(headers)}`);
      }
      for (const { headers, code } of [
        { headers: { host: `rebound.example:${program.port}` }, code: 'host_not_allowed' },
        { headers: { host: '192.0.2.1' }, code: 'host_not_allowed' },
        { headers: { host: here, origin: 'https://elsewhere.example' }, code: 'origin_not_allowed' },
        { headers: { host: here, origin: 'null' }, code: 'origin_not_allowed' },
        {
          headers: { host: here, origin: `http://127.0.0.1:${program.port + 1}` },
          code: 'origin_not_allowed',
        },
      ]) {
        const answer = await ask(program, path, headers);
        const what = `${path} ${JSON.stringify(headers)}: ${answer.body}`;
        assert.equal(answer.status, 403, what);
        const { error } = JSON.parse(answer.body);
        assert.equal(error.code, code, what);
        assert.match(error.message, /\w+ \w+ \w+/, what);
      }
    }
  }),
);

test(
  'a real browser on another site gets no socket',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const site = createServer((_, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><link rel="icon" href="data:,">');
    });
    await new Promise(resolve => site.listen(0, '127.0.0.1', () => resolve(null)));
    scene.closing(() => site.close());
    const address = /** @type {import('node:net').AddressInfo} */ (site.address());
    const tab = await scene.open(`http://localhost:${address.port}/`);
    tab.expectOutage();
    const outcome = await tab.page.evaluate(port => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
      return new Promise(resolve => {
        socket.onopen = () => resolve('open');
        socket.onerror = () => resolve('refused');
      });
    }, program.port);
    assert.equal(outcome, 'refused');
  }),
);

test(
  'a binary that was built without the page says so, and what to do',
  scene(async scene => {
    const overlay = scene.path('overlay.json');
    const page = join(ROOT, 'web', 'dist', 'index.html');
    await writeFile(overlay, JSON.stringify({ Replace: { [page]: '' } }));
    const binary = scene.path('stripchart');
    const options = { cwd: ROOT, env: { ...process.env, CGO_ENABLED: '0' } };
    const args = [
      'build',
      '-trimpath',
      '-buildvcs=false',
      '-overlay',
      overlay,
      '-o',
      binary,
      './cmd/stripchart',
    ];
    await promisify(execFile)('go', args, options);

    const program = await scene.startBinary(binary, '--interval', '200ms');
    assert.ok(
      program.log.some(line => line.includes('without its page')),
      'the log says it',
    );
    for (const path of ['/', '/plotly']) {
      const answer = await ask(program, path, {});
      assert.equal(answer.status, 503);
      assert.match(answer.body, /make build/);
    }
    const client = scene.client(program, '/');
    assert.ok((await client.event('bootstrap')).x, 'the data is there all the same');
  }),
);

/**
 * Asks with headers that fetch would not let anybody set.
 *
 * @param {import('../support/program.js').Program} program
 * @param {string} path
 * @param {import('node:http').OutgoingHttpHeaders} headers
 * @returns {Promise<{ status: number | undefined, body: string }>}
 */
function ask(program, path, headers) {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: program.port, path, headers, agent: false }, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', text => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    }).on('error', reject);
  });
}
