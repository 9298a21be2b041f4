import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runNginx } from '../clients/support/nginx.js';
import { freePort } from '../clients/support/port.js';
import { BROWSER_CLIENTS } from '../clients/support/runtimes.js';
import { startChild } from '../support/children.js';
import { launch } from '../support/chromium.js';
import { ROOT, stripchart } from '../support/paths.js';
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
 * nginx with TLS before three programs: at / with nothing but what a WebSocket cannot do without, below a path as
 * docs/OPERATIONS.md says, and below a path that nginx removes.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {Record<'atRoot' | 'kept' | 'removed', { program: number, port: number }>} at ports
 * @param {{ certificate: string, key: string }} pair
 */
async function startSites(scene, { atRoot, kept, removed }, { certificate, key }) {
  const operations = await readFile(join(ROOT, 'docs', 'OPERATIONS.md'), 'utf8');
  let site = /^```nginx\n(server \{\n {4}listen 443 ssl;[^`]*)```/m.exec(operations)?.[1] ?? '';
  for (const [from, to] of [
    ['listen 443 ssl;', `listen 127.0.0.1:${kept.port} ssl;`],
    ['/etc/ssl/certs/lab.pem', certificate],
    ['/etc/ssl/private/lab.key', key],
    ['http://127.0.0.1:5000;', `http://127.0.0.1:${kept.program};`],
  ]) {
    assert.ok(site.includes(from), `docs/OPERATIONS.md has a site with ${from}`);
    site = site.replace(from, () => to);
  }
  const removing = site
    .replace(`listen 127.0.0.1:${kept.port} ssl;`, `listen 127.0.0.1:${removed.port} ssl;`)
    .replace(`http://127.0.0.1:${kept.program};`, `http://127.0.0.1:${removed.program}/;`)
    .replace(/^map [\s\S]*/m, '');
  const port = await freePort();
  return runNginx(
    scene,
    `http://127.0.0.1:${port}`,
    `
server { listen 127.0.0.1:${port}; return 204; }
${site}
${removing}
server {
  listen 127.0.0.1:${atRoot.port} ssl;
  ssl_certificate     ${certificate};
  ssl_certificate_key ${key};
  location / {
    proxy_pass http://127.0.0.1:${atRoot.program};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
  }
}
`,
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
      ...['--public-url', `https://${NAME}:${kept}/stripchart/`, '--trusted-proxy', '127.0.0.1'],
    );
    const other = await scene.start(
      ...['--interval', '200ms', '--insecure'],
      ...['--public-url', `https://${NAME}:${removed}/stripchart/`, '--trusted-proxy', '127.0.0.1'],
    );
    await startSites(
      scene,
      {
        atRoot: { program: root.port, port: atRoot },
        kept: { program: sub.port, port: kept },
        removed: { program: other.port, port: removed },
      },
      pair,
    );

    // All that is to be seen where the path is kept comes from a collector that has to get through nginx, too.
    const collector = startChild(stripchart(), [
      ...['collect', '--bus', `https://127.0.0.1:${kept}/stripchart/`, '--ca-file', pair.certificate],
      ...['--interval', '200ms', '--data-dir', scene.path('collector')],
    ]);
    collector.child.stderr?.resume();
    scene.closing(async () => {
      collector.child.kill('SIGTERM');
      await collector.exited;
    });

    for (const page of [
      `https://${NAME}:${atRoot}/`,
      `https://${NAME}:${kept}/stripchart/`,
      `https://${NAME}:${removed}/stripchart/`,
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
      const url = `https://127.0.0.1:${port}/stripchart/`;
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
          Object.assign(document.createElement('iframe'), { src: `${url}/embed`, width: 900, height: 600 }),
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

test(
  'a phone opens the link that --share prints, is live, and keeps the token out of its address bar',
  scene(async scene => {
    const link = await share(scene, '127.0.0.2');
    const tab = await scene.open(link, { browser, viewport: { width: 390, height: 844 }, isMobile: true });
    await until('the page to be live', () =>
      tab.frames.some(({ sent, text }) => !sent && text.includes('"update"')),
    );
    assert.equal(new URL(tab.page.url()).hash, '', 'the token has left the address bar');
    assert.ok(!tab.frames.some(({ text }) => text.includes('sc_')), 'and is not sent again');
    const cookies = await tab.page.context().cookies();
    assert.deepEqual(
      cookies.map(({ httpOnly, sameSite, domain }) => ({ httpOnly, sameSite, domain })),
      [{ httpOnly: true, sameSite: 'Strict', domain: '127.0.0.2' }],
    );
    await tab.page.reload();
    const before = tab.frames.length;
    await until('the page to be live again', () =>
      tab.frames.slice(before).some(({ sent, text }) => !sent && text.includes('"update"')),
    );

    const stranger = await (await browser.newContext()).newPage();
    await stranger.goto(new URL('/', link).href);
    await stranger.getByText('Sign in to Stripchart').waitFor();
    await stranger.context().close();
  }),
);

/**
 * Starts stripchart with --share on an address, and returns the link that it prints.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} address
 * @returns {Promise<string>}
 */
function share(scene, address) {
  const child = spawn(
    stripchart(),
    ['--share', '--listen', `${address}:0`, '--interval', '200ms', '--data-dir', scene.path('shared')],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = new Promise(resolve => child.once('close', resolve));
  scene.closing(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return new Promise((resolve, reject) => {
    createInterface(child.stdout).on('line', line => {
      const found = /^ {2}(http:\S+#token=sc_\S+)$/.exec(line);
      if (found) resolve(/** @type {string} */ (found[1]));
    });
    ended.then(() => reject(new Error('stripchart ended without a link')));
  });
}

/**
 * An official client in Node.js at the base path /stripchart/.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} name of its package
 * @param {number} port
 * @param {string[]} transports
 */
function watchNode(scene, name, port, transports) {
  const socket = require(name)(`https://127.0.0.1:${port}`, {
    ...{ path: '/stripchart/socket.io', transports, forceNew: true, rejectUnauthorized: false },
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
