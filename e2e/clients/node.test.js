import { QUERY } from './support/judge.js';
import { NODE_CLIENTS } from './support/runtimes.js';
import { testClient } from './support/scenario.js';
import { watch } from './support/watch.js';

for (const { version, io } of NODE_CLIENTS) {
  testClient(`socket.io-client ${version} in Node.js`, () => async (url, transports) => {
    const { log, close } = watch(io, { url, transports, query: QUERY });
    return { log: async () => log, close };
  });
}
