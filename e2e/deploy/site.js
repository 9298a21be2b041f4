import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runNginx } from '../clients/support/nginx.js';
import { ROOT } from '../support/paths.js';

/** deploy's site, as a user copies it. */
const SITE = join(ROOT, 'deploy', 'nginx', 'stripchart.conf');

/**
 * Two servers on this machine. They are independent of each other, each with a collector and a bus in memory: enough
 * to see where requests go, and what becomes of a viewer's connection. Whether its samples are whole after a move needs
 * one bus for both, which is another test's business; it can pass its own two servers to startSite.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} interval
 */
export async function startTwo(scene, interval) {
  return /** @type {const} */ ([
    await scene.start('--interval', interval),
    await scene.start('--interval', interval),
  ]);
}

/**
 * Starts nginx with deploy's site before two servers. Only addresses and paths are put in.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {readonly [{ port: number }, { port: number }]} servers
 * @param {number} port
 * @param {{ tls?: number }} [options] `tls`: the port for TLS
 */
export async function startSite(scene, servers, port, { tls } = {}) {
  let site = await readFile(SITE, 'utf8');
  /** @type {(from: string, to: string) => void} */
  const put = (from, to) => {
    if (!site.includes(from))
      throw new Error(`${SITE} has no ${JSON.stringify(from)} to put something in for`);
    site = site.replace(from, () => to);
  };
  put('server 127.0.0.1:5000 ', `server 127.0.0.1:${servers[0].port} `);
  put('server 127.0.0.1:5001 ', `server 127.0.0.1:${servers[1].port} `);
  put('listen 80;', `listen 127.0.0.1:${port};`);
  put('listen [::]:80;', '');
  if (tls) {
    const { certificate, key } = await selfSigned(scene);
    site = site.replaceAll('#tls ', '');
    put('listen 443 ssl;', `listen 127.0.0.1:${tls} ssl;`);
    put('listen [::]:443 ssl;', '');
    put('/etc/ssl/certs/stripchart.pem', certificate);
    put('/etc/ssl/private/stripchart.key', key);
  }
  const http = `http://127.0.0.1${port === 80 ? '' : `:${port}`}`;
  return runNginx(scene, http, site);
}

/**
 * Makes a certificate of 127.0.0.1 that is its own authority.
 *
 * @param {import('../support/scene.js').Scene} scene
 */
export async function selfSigned(scene) {
  const [certificate, key] = [scene.path('site.pem'), scene.path('site.key')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['-newkey', 'rsa:2048', '-nodes', '-days', '1', '-keyout', key, '-out', certificate];
  await promisify(execFile)('openssl', ['req', '-x509', ...made, ...subject]);
  return { certificate, key };
}
