import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { figure } from '../support/plotly.js';
import { history } from '../support/recorder.js';
import { scene } from '../support/scene.js';
import { ascending } from '../support/series.js';
import { until } from '../support/until.js';
import { assertWhole, total } from './support/judge.js';
import { startNginx } from './support/nginx.js';
import { socketIO136 } from './support/prebuilt.js';

const PAGE = fileURLToPath(new URL('../fixtures/ancestor', import.meta.url));

test(
  'a page of 2018, its socket.io-client and its Plotly work unchanged: the history is there and points grow',
  scene(async scene => {
    const site = scene.path('site');
    await cp(PAGE, site, { recursive: true });
    await writeFile(`${site}/static/socket.io-1.3.6.js`, await socketIO136());
    const plotly = createRequire(import.meta.url).resolve('plotly.js-1/plotly-basic.min.js');
    await cp(plotly, `${site}/static/plotly-basic-1.58.5.min.js`);

    const program = await scene.start('--interval', '100ms');
    const nginx = await startNginx(scene, program, { root: site });
    await program.untilMeasured(15);
    const openedAt = Date.now();
    const tab = await scene.open(nginx.url);
    const shown = await until('thirty points after the history', async () => {
      const shown = await figure(tab.page);
      return shown.times.filter(time => time > openedAt).length >= 30 && shown;
    });
    await tab.page.screenshot({ path: scene.path('ancestor.png') });

    assert.ok(shown.times.filter(time => time < openedAt).length >= 10, 'points from before the page came');
    ascending('the trace', shown.times);
    const points = shown.times.map((time, i) => /** @type {const} */ ([time, shown.y[i] ?? Number.NaN]));
    assertWhole(points, total(await history(program.url, shown.times.at(-1) ?? 0)));
    const [from = 0, to = 0] = shown.range;
    assert.equal(to - from, 100_000, 'the axis shows the window');
    assert.equal(to, shown.times.at(-1), 'up to the newest point');
    assert.ok(tab.frames.length > 0, 'by WebSocket in the end');
  }),
);
