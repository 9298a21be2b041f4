import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../support/paths.js';

const run = promisify(execFile);

const PACKAGE = 'socket.io-client@1.3.6';
const SHA512 = 'JvMgEu1rh3hBNoyOcEMXV+ekG52BQxw/nHThswjJ/qJ/jFspH6crs3oDwd2Mom8UBuRZ4PpWNgEKSDrylaFBMg==';

/** Where packages are kept between runs. */
const CACHE = join(ROOT, '.cache');

/**
 * Returns the script of the socket.io-client 1.3.6 that pages load, from the package that npm has. The package cannot
 * be installed: one of its dependencies, for Node.js only, lies at an address outside of npm.
 */
export async function socketIO136() {
  const path = join(CACHE, 'socket.io-client-1.3.6.tgz');
  const kept = await readFile(path).catch(() => null);
  if (!kept) {
    await mkdir(CACHE, { recursive: true });
    await run('npm', ['pack', '--silent', '--pack-destination', CACHE, PACKAGE]).catch(error => {
      throw new Error(`\`npm pack ${PACKAGE}\` failed; it is needed once, with a network:\n${error.stderr}`);
    });
  }
  const hash = createHash('sha512')
    .update(kept ?? (await readFile(path)))
    .digest('base64');
  if (hash !== SHA512) throw new Error(`${path} is not ${PACKAGE}; delete it and try again`);
  const { stdout } = await run('tar', ['-xzOf', path, 'package/socket.io.js'], { maxBuffer: 1 << 20 });
  return stdout;
}
