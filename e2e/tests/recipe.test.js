import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveRecipe } from '../support/proxy.js';
import { scene } from '../support/scene.js';
import { ascending } from '../support/series.js';
import { until } from '../support/until.js';

test(
  'a page of the Flask-SocketIO recipe works as it is, behind its own server, from polling to WebSocket',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    await program.untilMeasured(6);
    const site = await serveRecipe(program.port);
    scene.closing(() => site.close());
    const tab = await scene.open(site.url);
    const trace = () =>
      tab.page.evaluate(
        () =>
          /** @type {{ x: string[], y: number[], bootstraps: number }} */ (/** @type {any} */ (window).trace),
      );

    const history = await until('the history', async () => {
      const shown = await trace();
      return shown.bootstraps > 0 && shown;
    });
    assert.ok(history.x.length >= 4, `${history.x.length} points of history`);
    const grown = await until('ten points more', async () => {
      const shown = await trace();
      return shown.x.length >= history.x.length + 10 && shown;
    });
    assert.equal(grown.bootstraps, 1);
    assert.equal(grown.x.length, grown.y.length);
    ascending(
      'the trace',
      grown.x.map(time => +new Date(time)),
    );
    await until('updates over WebSocket', () =>
      tab.frames.some(({ sent, text }) => !sent && text.startsWith('42["update"')),
    );
  }),
);
