import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNginx } from '../clients/support/nginx.js';
import { socketIO136 } from '../clients/support/prebuilt.js';
import { ROOT } from '../support/paths.js';
import { figure } from '../support/plotly.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

const PAGE = fileURLToPath(new URL('../fixtures/ancestor', import.meta.url));

// Port 80 is where such a page lives: its script builds an address with an empty port there.
for (const { port, twice } of [{ port: 80 }, { port: 8080 }, { port: 80, twice: true }]) {
  test(
    `docs/FROM-FLASK.md: with its nginx site on port ${port}${twice ? ', with proxy_params beside a Host line of its own,' : ''} the page of 2018 draws, and goes on`,
    scene(async scene => {
      const site = scene.path('site');
      await cp(PAGE, site, { recursive: true });
      await writeFile(`${site}/static/socket.io-1.3.6.js`, await socketIO136());
      const plotly = createRequire(import.meta.url).resolve('plotly.js-1/plotly-basic.min.js');
      await cp(plotly, `${site}/static/plotly-basic-1.58.5.min.js`);

      const program = await scene.start('--interval', '100ms');
      await program.untilMeasured(10);
      let example =
        /```nginx\n(.+?)```/s.exec(await readFile(join(ROOT, 'docs', 'FROM-FLASK.md'), 'utf8'))?.[1] ?? '';
      for (const [from, to] of /** @type {const} */ ([
        ['listen 80;', `listen 127.0.0.1:${port};`],
        ['root /srv/cpu;', `root ${site};`],
        ['127.0.0.1:5000', `127.0.0.1:${program.port}`],
        // Debian's proxy_params has that line.
        ['Host $http_host;', twice ? 'Host $host; proxy_set_header Host $host;' : 'Host $http_host;'],
      ])) {
        assert.ok(example.includes(from), `the example has ${from}`);
        example = example.replace(from, to);
      }
      const url = `http://127.0.0.1${port === 80 ? '' : `:${port}`}`;
      const types = 'types { text/html html; text/javascript js; }';
      await runNginx(scene, url, `${types}\n${example}`);

      const openedAt = Date.now();
      const tab = await scene.open(url);
      const shown = await until('twenty points after the history', async () => {
        const shown = await figure(tab.page);
        return shown.times.filter(time => time > openedAt).length >= 20 && shown;
      });
      assert.ok(
        shown.times.some(time => time < openedAt),
        'points from before the page came',
      );
      await until('the upgrade', () => tab.frames.length > 0);
    }),
  );
}
