import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startChild } from '../../support/children.js';
import { until } from '../../support/until.js';
import { freePort } from './port.js';

/** What a site has to pass on: the headers of the upgrade, and the page's own `Host`, once, with its port. */
const PASSED_ON = `
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;`;

/**
 * Starts nginx in front of a program, and has it ended with the scene.
 *
 * @param {import('../../support/scene.js').Scene} scene
 * @param {import('../../support/program.js').Program} program
 * @param {NginxOptions} [options]
 */
export async function startNginx(scene, program, { root = '', passedOn = PASSED_ON } = {}) {
  const port = await freePort();
  return runNginx(
    scene,
    `http://127.0.0.1:${port}`,
    `
  types { text/html html; text/javascript js; }
  map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
  }
  server {
    listen 127.0.0.1:${port};
    location /socket.io/ {
      proxy_pass http://127.0.0.1:${program.port};${passedOn}
    }
    location / {
      ${root ? `root ${root};` : `proxy_pass http://127.0.0.1:${program.port};${passedOn}`}
    }
  }
`,
  );
}

/**
 * Starts nginx with sites of one's own, and has it ended with the scene.
 *
 * @param {import('../../support/scene.js').Scene} scene
 * @param {string} url of the site that is waited for
 * @param {string} sites what stands in nginx's `http` block
 */
export async function runNginx(scene, url, sites) {
  await assertFree(Number(new URL(url).port || 80));
  const folder = scene.path('nginx');
  await mkdir(folder, { recursive: true });
  const configuration = join(folder, 'nginx.conf');
  // One process, so that ending it ends all of it; and nothing is written outside of the folder.
  await writeFile(
    configuration,
    `
master_process off;
pid nginx.pid;
error_log error.log;
events { worker_connections 4096; }
http {
  log_format asked '$status $request_method $request_uri';
  access_log access.log asked;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
${sites}
}
`,
  );
  const { child, exited } = startChild(nginx(), ['-p', folder, '-c', configuration, '-g', 'daemon off;']);
  const said = text(/** @type {import('node:stream').Readable} */ (child.stderr));
  let isOver = false;
  exited.then(() => {
    isOver = true;
  });
  scene.closing(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await until('nginx to answer', async () => {
    if (isOver) throw new Error(`nginx ended at its start: ${await said}`);
    return fetch(url, { redirect: 'manual' }).then(
      () => true,
      () => false,
    );
  });
  return {
    url,
    /** One line for every request that was answered in full: status, method, path. */
    async answered() {
      return (await readFile(join(folder, 'access.log'), 'utf8')).split('\n');
    },
  };
}

/**
 * Fails, and says what to do, when nobody can listen on the port.
 *
 * @param {number} port
 */
function assertFree(port) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', error => {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      const what =
        code === 'EACCES' ? 'only root may listen on it here; run the tests as root' : `${code}; free it`;
      reject(new Error(`this test needs port ${port} of 127.0.0.1: ${what}`));
    });
    server.listen(port, '127.0.0.1', () => server.close(resolve));
  });
}

/** The program of that name; most systems keep it where only the administrator's path leads. */
function nginx() {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const path = folders.map(folder => join(folder, 'nginx')).find(existsSync);
  if (!path) throw new Error('nginx is missing; run `make deps`');
  return path;
}

/**
 * @typedef {object} NginxOptions
 * @property {string} [root] folder of the site's own files; without one, all is the program's
 * @property {string} [passedOn] what is said about requests to the program, in nginx's words
 */
