import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

/** The client as pages load it: one file. */
const CLIENT = new URL('../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url);

/**
 * Somebody's own server: it has a page of the Flask-SocketIO recipe, and passes /socket.io/ on to Stripchart as
 * it comes, Host header and upgrades included.
 *
 * @param {number} port of Stripchart
 */
export async function serveRecipe(port) {
  const files = new Map([
    ['/', { type: 'text/html', body: await readFile(new URL('recipe.html', import.meta.url)) }],
    ['/socket.io.js', { type: 'text/javascript', body: await readFile(CLIENT) }],
  ]);
  const server = createServer((incoming, outgoing) => {
    const { url = '' } = incoming;
    const file = files.get(url);
    if (file) return outgoing.setHeader('content-type', file.type).end(file.body);
    pass(incoming, outgoing, port);
  });
  server.on('upgrade', (incoming, socket, head) => {
    const upstream = connect(port, '127.0.0.1', () => {
      const { rawHeaders } = incoming;
      const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
      for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  return listen(server);
}

/**
 * A proxy that passes on everything but WebSocket, as some do: it refuses it, or leaves it without an answer.
 *
 * @param {number} port of Stripchart
 * @param {'refused' | 'unanswered'} upgrades
 */
export function serveWithoutUpgrades(port, upgrades) {
  const server = createServer((incoming, outgoing) => pass(incoming, outgoing, port));
  /** @type {Set<import('node:stream').Duplex>} */
  const unanswered = new Set();
  server.on('upgrade', (_incoming, socket) => {
    if (upgrades === 'refused') {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    unanswered.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => unanswered.delete(socket));
  });
  return listen(server, () => {
    for (const socket of unanswered) socket.destroy();
  });
}

/**
 * Passes a request on as it comes.
 *
 * @param {import('node:http').IncomingMessage} incoming
 * @param {import('node:http').ServerResponse} outgoing
 * @param {number} port of Stripchart
 */
function pass(incoming, outgoing, port) {
  const { url, method, headers } = incoming;
  const passed = request({ host: '127.0.0.1', port, path: url, method, headers }, answer => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  passed.on('error', () => outgoing.destroy());
  incoming.pipe(passed);
}

/**
 * Listens on any port.
 *
 * @param {import('node:http').Server} server
 * @param {() => void} [ending] ends what the server does not know of
 */
async function listen(server, ending) {
  await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(null)));
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close() {
      ending?.();
      server.closeAllConnections();
      return new Promise(resolve => server.close(resolve));
    },
  };
}
