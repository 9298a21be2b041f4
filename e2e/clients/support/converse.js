/**
 * Has a client say the same on every connection to a server that sends back what it is sent. It writes down the
 * answers on the last one, and how long the longest has lived.
 *
 * This function runs in Node.js and, as text, in a browser's page: it may use nothing from outside of it.
 *
 * @param {any} io the client's entry point
 * @param {{ url: string, transports: readonly string[], text: string, bytes: readonly number[] }} options
 */
export function converse(io, { url, transports, text, bytes }) {
  const socket = io(url, { transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 50 });
  const back = /** @type {any[]} */ ([]);
  const acknowledged = /** @type {any[]} */ ([]);
  let connectedAt = 0;
  let longest = 0;
  const live = () => (connectedAt ? Date.now() - connectedAt : 0);

  // Old clients take only what was binary in their day for binary.
  const binary = typeof Buffer === 'undefined' ? Uint8Array.from(bytes).buffer : Buffer.from(bytes);

  /** @type {(value: any) => any} */
  const plain = value => {
    if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
    if (ArrayBuffer.isView(value)) return { bytes: [.../** @type {Uint8Array} */ (value)] };
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  };

  socket.on('connect', () => {
    connectedAt = Date.now();
    back.length = 0;
    acknowledged.length = 0;
    socket.emit('message', text, { deep: [binary] }, binary);
    socket.emit('message', text);
    const take = (/** @type {any[]} */ ...args) => acknowledged.push(plain(args));
    socket.emit('message-with-ack', text, 7, take);
    socket.emit('message-with-ack', { deep: [binary] }, take);
  });
  socket.on('disconnect', () => {
    longest = Math.max(longest, live());
    connectedAt = 0;
  });
  socket.on('message-back', (/** @type {any[]} */ ...args) => back.push(plain(args)));

  return {
    progress: () => ({
      answers: Math.min(back.length, acknowledged.length),
      lived: Math.max(longest, live()),
    }),
    answers: () => ({ back, acknowledged }),
    close: () => socket.disconnect(),
  };
}
