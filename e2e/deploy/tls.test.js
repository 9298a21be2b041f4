import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { selfSigned } from './site.js';

const run = promisify(execFile);

test(
  'over TLS the page and the API come by HTTP/2, and the page is live by a WebSocket beside it',
  scene(async scene => {
    const { certificate, key } = await selfSigned(scene);
    const program = await scene.start('--interval', '100ms', '--tls-cert', certificate, '--tls-key', key);
    assert.match(program.url, /^https:/);

    for (const [version, path] of [
      ['2', '/'],
      ['2', '/api/v1/query?query=load1'],
      ['1.1', '/healthz'],
    ]) {
      const { stdout } = await run('curl', [
        ...['-sS', '-o', '/dev/null', '-w', '%{http_version} %{http_code}', '--cacert', certificate],
        ...[version === '2' ? '--http2' : '--http1.1', program.url + path],
      ]);
      assert.equal(stdout, `${version} 200`, path);
    }

    const tab = await scene.open(program.url, { ignoreHTTPSErrors: true });
    await until('the page to be live', () =>
      tab.frames.some(({ sent, text }) => !sent && text.includes('"update"')),
    );
    const protocols = await tab.page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .map(entry => /** @type {PerformanceResourceTiming} */ (entry).nextHopProtocol),
    );
    assert.ok(protocols.length > 0 && protocols.every(protocol => protocol === 'h2'), `by ${protocols}`);
  }),
);
