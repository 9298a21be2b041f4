import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runNginx } from '../clients/support/nginx.js';
import { freePort } from '../clients/support/port.js';
import { BROWSER_CLIENTS } from '../clients/support/runtimes.js';
import { startChild } from '../support/children.js';
import { launch } from '../support/chromium.js';
import { stripchart } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { selfSigned } from './site.js';

const require = createRequire(import.meta.url);
const run = promisify(execFile);

/** A name of the site that is not this machine's. */
const NAME = 'lab.example';

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await launch(`--host-resolver-rules=MAP ${NAME} 127.0.0.1`);
});
after(() => browser?.close());

/**
 * nginx with TLS before a program. Each location says by itself what it passes on: the first two only what a
 * WebSocket cannot do without, the third what deploy's site does.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {{ atRoot: { program: number, port: number }, below: { program: number, kept: number, removed: number } }} at ports
 * @param {{ certificate: string, key: string }} pair
 */
function startSites(scene, { atRoot, below }, { certificate, key }) {
  const upgrade = `
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;`;
  const all = `${upgrade}
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;`;
  const server = (/** @type {number} */ port, /** @type {string} */ location) => `
  server {
    listen 127.0.0.1:${port} ssl;
    ${location}
  }`;
  const plain = freePort();
  return plain.then(port =>
    runNginx(
      scene,
      `http://127.0.0.1:${port}`,
      `
  map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
  }
  ssl_certificate     ${certificate};
  ssl_certificate_key ${key};
  server { listen 127.0.0.1:${port}; return 204; }
  ${server(atRoot.port, `location / { proxy_pass http://127.0.0.1:${atRoot.program};${upgrade} }`)}
  ${server(below.kept, `location /sub/ { proxy_pass http://127.0.0.1:${below.program};${upgrade} }`)}
  ${server(below.removed, `location /sub/ { proxy_pass http://127.0.0.1:${below.program}/;${all} }`)}
`,
    ),
  );
}

test(
  'behind nginx with TLS, at / and below a path that it keeps or removes, pages are live and every program gets through',
  scene(async scene => {
    const pair = await selfSigned(scene);
    const [atRoot, kept, removed] = await Promise.all([freePort(), freePort(), freePort()]);
    const root = await scene.start(
      ...['--interval', '200ms', '--insecure'],
      ...['--public-url', `https://${NAME}:${atRoot}/`, '--trusted-proxy', '127.0.0.1'],
    );
    const sub = await scene.start(
      ...['serve', '--insecure'],
      ...['--public-url', `https://${NAME}:${kept}/sub/`, '--trusted-proxy', '127.0.0.1'],
    );
    await startSites(
      scene,
      { atRoot: { program: root.port, port: atRoot }, below: { program: sub.port, kept, removed } },
      pair,
    );

    // All that is to be seen below /sub/ comes from a collector that has to get through nginx, too.
    const collector = startChild(stripchart(), [
      ...['collect', '--bus', `https://127.0.0.1:${kept}/sub/`, '--ca-file', pair.certificate],
      ...['--interval', '200ms', '--data-dir', scene.path('collector')],
    ]);
    collector.child.stderr?.resume();
    scene.closing(async () => {
      collector.child.kill('SIGTERM');
      await collector.exited;
    });

    for (const page of [
      `https://${NAME}:${atRoot}/`,
      `https://${NAME}:${kept}/sub/`,
      `https://${NAME}:${removed}/sub/`,
      `http://127.0.0.1:${sub.port}/`, // past nginx
    ]) {
      const tab = await scene.open(page, { browser, ignoreHTTPSErrors: true });
      await until(`${page} to be live`, () =>
        tab.frames.some(({ sent, text }) => !sent && text.includes('"update"')),
      );
      if (page.includes(`:${removed}/`)) {
        await tab.page.goto(new URL('plotly', page).href);
        await tab.page.locator('.plotly').first().waitFor();
      }
      await tab.page.close();
    }

    for (const port of [kept, removed]) {
      const url = `https://127.0.0.1:${port}/sub/`;
      const curl = async (/** @type {string[]} */ ...args) =>
        (
          await run('curl', [
            '-sS',
            '-w',
            ' %{http_code} %{redirect_url}',
            '--cacert',
            pair.certificate,
            ...args,
          ])
        ).stdout;
      assert.match(await curl(`${url}api/v1/query?query=1`), /"success".* 200 $/);
      assert.match(await curl(`${url}socket.io?EIO=4`), new RegExp(` 307 ${url}socket.io/[?]EIO=4$`));
      if (port === kept) assert.match(await curl(url.slice(0, -1)), / 301 /); // nginx's own

      /** @type {{ updates: number }[]} */
      const viewers = [];
      for (const name of ['socket.io-client', 'socket.io-client-2']) {
        for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
          viewers.push(watchNode(scene, name, port, transports));
        }
      }
      if (port === kept) viewers.push(watchPython(scene, url, ['polling', 'websocket']));
      await until('every client to be live', () => viewers.every(viewer => viewer.updates >= 2));

      await feed(['push', 'pushed', '--to', url, '--ca-file', pair.certificate], `${port}\n`);
      const pushed = await curl(`${url}api/v1/query?query=pushed`);
      assert.match(pushed, new RegExp(`"${port}"`), 'what push sent is there');
    }
  }),
);

test(
  'a page that lives elsewhere connects, reads and embeds where it is allowed to, and another one does not',
  scene(async scene => {
    const [allowed, foreign] = [await serveBlank(scene), await serveBlank(scene)];
    const program = await scene.start(
      ...['--interval', '200ms', '--allow-origin', allowed, '--allow-embed', allowed],
    );
    for (const [i, { version, script }] of BROWSER_CLIENTS.entries()) {
      for (const site of i === 0 ? [allowed, foreign] : [allowed]) {
        const page = await (await browser.newContext()).newPage();
        await page.goto(site);
        await page.addScriptTag({ content: await script() });
        for (const transport of ['polling', 'websocket']) {
          const came = await page.evaluate(
            ([url, transport]) =>
              new Promise(resolve => {
                const socket = /** @type {any} */ (window).io(url, {
                  ...{ transports: [transport], forceNew: true, reconnection: false },
                });
                const end = (/** @type {string} */ what) => () => {
                  resolve(what);
                  socket.disconnect();
                };
                socket.on('update', end('update'));
                for (const event of ['connect_error', 'error', 'disconnect'])
                  socket.on(event, end('refused'));
              }),
            [program.url, transport],
          );
          assert.equal(came, site === allowed ? 'update' : 'refused', `${version}, ${transport}, ${site}`);
        }
        await page.context().close();
      }
    }
    for (const site of [allowed, foreign]) {
      const page = await (await browser.newContext()).newPage();
      await page.goto(site);
      const read = await page
        .evaluate(async url => {
          // With a header that has to be asked for first.
          const answer = await fetch(`${url}/api/v1/query?query=1`, {
            headers: { authorization: 'Bearer x' },
          });
          return (await answer.json()).status;
        }, program.url)
        .catch(() => 'refused');
      assert.equal(read, site === allowed ? 'success' : 'refused', `reads, ${site}`);
      await page.evaluate(url => {
        document.body.append(
          Object.assign(document.createElement('iframe'), { src: url, width: 900, height: 600 }),
        );
      }, program.url);
      if (site === allowed) {
        await page.frameLocator('iframe').locator('canvas').first().waitFor();
      } else {
        await until('the frame to be refused', () =>
          page.frames().some(frame => frame.url().startsWith('chrome-error:')),
        );
      }
      await page.context().close();
    }
  }),
);

/**
 * An official client in Node.js at the base path /sub/.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} name of its package
 * @param {number} port
 * @param {string[]} transports
 */
function watchNode(scene, name, port, transports) {
  const socket = require(name)(`https://127.0.0.1:${port}`, {
    ...{ path: '/sub/socket.io', transports, forceNew: true, rejectUnauthorized: false },
  });
  const viewer = { updates: 0 };
  socket.on('update', () => {
    viewer.updates += 1;
  });
  scene.closing(() => socket.disconnect());
  return viewer;
}

/**
 * python-socketio at an address.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} url
 * @param {string[]} transports
 */
function watchPython(scene, url, transports) {
  const script = fileURLToPath(new URL('../clients/support/viewer.py', import.meta.url));
  const { child, exited } = startChild('/usr/bin/python3', [
    '-s',
    '-W',
    'ignore',
    script,
    url,
    'load1',
    ...transports,
  ]);
  const viewer = { updates: 0 };
  createInterface(/** @type {import('node:stream').Readable} */ (child.stderr)).on('line', line => {
    if (line.includes('"event": "update"')) viewer.updates += 1;
  });
  scene.closing(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  return viewer;
}

/**
 * Runs stripchart with a text as its standard input; it has to succeed, and to say nothing.
 *
 * @param {string[]} args
 * @param {string} text
 */
function feed(args, text) {
  return new Promise((resolve, reject) => {
    const child = spawn(stripchart(), args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', data => {
      said += data;
    });
    child.once('error', reject);
    child.once('close', code =>
      code === 0 && !said ? resolve(null) : reject(new Error(`${code}: ${said}`)),
    );
    child.stdin.end(text);
  });
}

/**
 * A site that has an empty page.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @returns {Promise<string>} its origin
 */
function serveBlank(scene) {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><link rel=icon href="data:,"><body>');
  });
  scene.closing(() => {
    server.closeAllConnections();
    server.close();
  });
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      resolve(`http://127.0.0.1:${port}`);
    }),
  );
}
