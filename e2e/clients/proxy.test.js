import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { startNginx } from './support/nginx.js';

/** A request as a page of the site's would make it. */
const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

for (const { what, passedOn, status, answer } of [
  {
    // As `include proxy_params;` of Debian's and a `Host` line of one's own beside it send it. Go refuses it by
    // itself and says no more; docs have to.
    what: 'two Host headers',
    passedOn: 'proxy_set_header Host $http_host; proxy_set_header Host $host;',
    status: 400,
    answer: /^400 Bad Request/,
  },
  {
    // As Debian's proxy_params alone sends it.
    what: 'a Host header without the port',
    passedOn: 'proxy_set_header Host $host;',
    status: 403,
    answer: /"code":"origin_not_allowed","message":".* .*"/,
  },
  {
    what: 'no Host header of the page’s',
    passedOn: '',
    status: 403,
    answer: /"code":"origin_not_allowed","message":".* .*"/,
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
    }),
  );
}
