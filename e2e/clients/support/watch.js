/**
 * A viewer of both namespaces by one of the official clients, whichever version `io` is. It writes down all that
 * happens, and after every connection to `/live` it subscribes again from where it was, as a page does.
 *
 * This function runs in Node.js and, as text, in a browser's page: it may use nothing from outside of it.
 *
 * @param {any} io the client's entry point
 * @param {WatchOptions} options
 */
export function watch(io, { url, transports, query }) {
  /** @type {Entry[]} */
  const log = [];
  const root = io(url, { transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300 });
  const manager = root.io;
  const live = manager.socket('/live');

  /** @type {(namespace: string, event: string, argument?: any) => void} */
  const note = (namespace, event, argument) => {
    log.push({ namespace, event, argument, over: manager.engine.transport.name });
  };

  manager.on('open', () => {
    note('', 'open');
    manager.engine.on('upgrade', () => note('', 'upgrade'));
  });
  for (const socket of [root, live]) {
    for (const event of ['connect', 'connect_error', 'error', 'disconnect']) {
      socket.on(event, (/** @type {any} */ reason) => note(socket.nsp, event, reason && String(reason)));
    }
  }
  for (const event of ['bootstrap', 'update']) {
    root.on(event, (/** @type {any} */ argument) => note('/', event, argument));
  }

  /** @type {string | undefined} */
  let since;
  for (const event of ['hello', 'bootstrap', 'update', 'status', 'gap', 'bye']) {
    live.on(event, (/** @type {any} */ argument) => {
      note('/live', event, argument);
      since = argument.position ?? since;
    });
  }
  live.on('hello', () => {
    const request = since === undefined ? { query } : { query, since };
    live.emit('subscribe', request, (/** @type {any} */ answer) => note('/live', 'answer', answer));
  });

  const close = () => {
    root.disconnect();
    live.disconnect();
  };
  return { log, close };
}

/**
 * @typedef {object} WatchOptions
 * @property {string} url
 * @property {readonly string[]} transports in the order in which they are tried
 * @property {string} query what to subscribe to on `/live`
 */

/**
 * Something that happened to a viewer: to its connection (namespace empty) or in a namespace, where `answer` is
 * the acknowledgement of a subscription. `over` is the transport at that time.
 *
 * @typedef {{ namespace: '' | '/' | '/live' | string, event: string, argument?: any, over: string }} Entry
 */
