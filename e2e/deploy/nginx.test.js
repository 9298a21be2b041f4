import assert from 'node:assert/strict';
import { get } from 'node:http';
import { request } from 'node:https';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../clients/support/port.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { connections, openCrowd } from './crowd.js';
import { startSite, startTwo } from './site.js';

/** Twelve addresses, as of twelve viewers. */
const ADDRESSES = Array.from({ length: 12 }, (_, i) => `127.0.0.${i + 2}`);

for (const port of [80, 8080]) {
  test(
    `on port ${port} the page, both transports and the upgrade go through, and polling stays with its server`,
    scene(async scene => {
      const servers = await startTwo(scene, '100ms');
      const site = await startSite(scene, servers, port);

      const tab = await scene.open(site.url);
      await until('the page to be live', () =>
        tab.frames.some(({ sent, text }) => !sent && text.includes('"update"')),
      );
      await tab.page.close();

      const polling = await openCrowd(
        scene,
        site.url,
        ADDRESSES.map(from => ({ transports: ['polling'], from })),
      );
      const [first, second] = await Promise.all(servers.map(connections));
      assert.ok(first.polling > 0 && second.polling > 0, 'the addresses are spread over both servers');
      assert.equal(first.polling + second.polling, polling.length);

      const upgrading = await openCrowd(
        scene,
        site.url,
        ADDRESSES.map(from => ({ transports: ['polling', 'websocket'], from })),
      );
      await until('the upgrades', () => upgrading.every(viewer => viewer.transport === 'websocket'));

      // All from one address, as behind another proxy.
      const before = await Promise.all(servers.map(connections));
      const crowd = await openCrowd(
        scene,
        site.url,
        Array.from({ length: 30 }, () => ({ transports: ['websocket'], from: '127.0.0.1' })),
      );
      const after = await Promise.all(servers.map(connections));
      const came = after.map(({ all }, i) => all - (before[i]?.all ?? 0));
      assert.equal(came[0] + came[1], crowd.length);
      assert.ok(Math.min(...came) > 0, `WebSockets are spread over both servers: ${came}`);

      const all = [...polling, ...upgrading, ...crowd];
      await until('updates for everybody', () => all.every(({ updates }) => updates >= 5));
      for (const { what, failures } of all) assert.equal(failures, 0, `${what} was never turned away`);
    }),
  );
}

test(
  'when one of two servers is killed, its viewers are live at the other, and newcomers come back to it',
  scene(async scene => {
    const servers = await startTwo(scene, '100ms');
    const site = await startSite(scene, servers, await freePort());
    const viewers = await openCrowd(
      scene,
      site.url,
      /** @type {const} */ ([['polling'], ['websocket'], ['polling', 'websocket']]).flatMap(transports =>
        ADDRESSES.map(from => ({ transports, from })),
      ),
    );
    const lost = (await connections(servers[0])).all;
    const others = (await connections(servers[1])).all;
    assert.ok(lost > 0 && others > 0, `both have viewers: ${lost} and ${others}`);

    await servers[0].kill();
    const before = viewers.map(viewer => viewer.updates);
    await until(
      'every viewer to be at the server that is left',
      async () => (await connections(servers[1])).all === viewers.length,
    );
    await until('every viewer to be live again', () =>
      viewers.every((viewer, i) => viewer.updates > (before[i] ?? 0)),
    );
    assert.equal(
      viewers.filter(viewer => viewer.failures === 0).length,
      others,
      'those of the other server noticed nothing',
    );

    await servers[0].start();
    await sleep(2_500); // longer than fail_timeout
    await openCrowd(
      scene,
      site.url,
      ADDRESSES.map(from => ({ transports: ['polling'], from })),
    );
    assert.ok((await connections(servers[0])).all > 0, 'newcomers go to both again');
  }),
);

test(
  'writers and the server’s own figures have a door on the same machine only',
  scene(async scene => {
    const servers = await startTwo(scene, '200ms');
    const site = await startSite(scene, servers, await freePort());
    for (const path of ['/api/v1/write', '/write', '/api/v2/write', '/metrics']) {
      const stranger = await ask(site.url + path, '127.0.0.2');
      assert.equal(stranger.status, 403, path);
      assert.match(stranger.body, /nginx/, `${path} is refused before the server`);
      assert.doesNotMatch((await ask(site.url + path, '127.0.0.1')).body, /nginx/, `${path} goes through`);
    }
    for (const path of ['/', '/socket.io-1.3.6.js', '/readyz']) {
      assert.doesNotMatch((await ask(site.url + path, '127.0.0.2')).body, /nginx/, path);
    }
  }),
);

test(
  'the lines for TLS, once taken in, serve the page and its socket and send plain requests there',
  scene(async scene => {
    const servers = await startTwo(scene, '100ms');
    const tls = await freePort();
    const site = await startSite(scene, servers, await freePort(), { tls });
    const plain = await ask(`${site.url}/x?y=1`, '127.0.0.1');
    assert.equal(plain.status, 301);
    assert.equal(plain.location, 'https://127.0.0.1/x?y=1');

    const url = `https://127.0.0.1:${tls}`;
    const page = await new Promise((resolve, reject) => {
      const asked = request(url, { rejectUnauthorized: false }, response => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject).end();
    });
    assert.equal(page, 200);
    const tab = await scene.open(url, { ignoreHTTPSErrors: true });
    await until('the page to be live', () =>
      tab.frames.some(({ sent, text }) => !sent && text.includes('"update"')),
    );
  }),
);

/**
 * Asks from one of this machine's loopback addresses.
 *
 * @param {string} url
 * @param {string} localAddress
 * @returns {Promise<{ status: number | undefined, location: string | undefined, body: string }>}
 */
function ask(url, localAddress) {
  return new Promise((resolve, reject) => {
    get(url, { localAddress, agent: false }, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', text => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, location: response.headers.location, body }),
      );
    }).on('error', reject);
  });
}
