import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCrowd } from '../deploy/crowd.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { startNginx } from './support/nginx.js';

/** A request as a page of the site's would make it. */
const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

test(
  'a proxy that passes on the same Host header twice, as the recipe’s site with proxy_params, is served, upgrade and all',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const nginx = await startNginx(scene, program, {
      passedOn: `
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "Upgrade";
        proxy_set_header Host $http_host; proxy_set_header Host $http_host;`,
    });
    for (let i = 0; i < 5; i++) {
      const response = await fetch(nginx.url + HANDSHAKE, { headers: { origin: nginx.url } });
      assert.equal(response.status, 200, await response.text());
    }
    const viewers = await openCrowd(
      scene,
      nginx.url,
      /** @type {const} */ ([['polling'], ['websocket'], ['polling', 'websocket']]).map(transports => ({
        transports,
        from: '127.0.0.1',
      })),
    );
    await until('every viewer to be live', () => viewers.every(viewer => viewer.updates >= 5));
    await until('the upgrade', () => viewers[2]?.transport === 'websocket');
  }),
);

for (const { what, passedOn, status, answer, counted } of [
  {
    // As `include proxy_params;` of Debian's and a `Host` line of one's own beside it send it on other ports than 80.
    what: 'two different Host headers',
    passedOn: 'proxy_set_header Host $http_host; proxy_set_header Host $host;',
    status: 400,
    answer: /"code":"unequal_hosts","message":".*proxy_params.*"/,
    counted: 'unequal_hosts',
  },
  {
    // As Debian's proxy_params alone sends it.
    what: 'a Host header without the port',
    passedOn: 'proxy_set_header Host $host;',
    status: 403,
    answer: /"code":"origin_not_allowed","message":".*[$]http_host.*"/,
    counted: 'origin_not_allowed',
  },
  {
    what: 'no Host header of the page’s',
    passedOn: '',
    status: 403,
    answer: /"code":"origin_not_allowed","message":".*[$]http_host.*"/,
    counted: 'origin_not_allowed',
  },
]) {
  test(
    `a proxy that passes on ${what} is refused, and nothing is half served`,
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const nginx = await startNginx(scene, program, { passedOn });
      const response = await fetch(nginx.url + HANDSHAKE, { headers: { origin: nginx.url } });
      assert.equal(response.status, status);
      assert.match(await response.text(), answer);
      const figures = await (await fetch(`${program.url}/metrics`)).text();
      const count = new RegExp(`^stripchart_requests_refused_total{code="${counted}"} (\\d+)$`, 'm').exec(
        figures,
      )?.[1];
      assert.ok(Number(count) > 0, `${count} are counted as ${counted}`);
    }),
  );
}
