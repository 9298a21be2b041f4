import { createRequire } from 'node:module';
import { QUERY } from './support/judge.js';
import { testClient } from './support/scenario.js';
import { watch } from './support/watch.js';

const require = createRequire(import.meta.url);

for (const name of ['socket.io-client', 'socket.io-client-2', 'socket.io-client-1']) {
  const { version } = require(`${name}/package.json`);
  testClient(`socket.io-client ${version} in Node.js`, () => async (url, transports) => {
    const { log, close } = watch(require(name), { url, transports, query: QUERY });
    return { log: async () => log, close };
  });
}
