import type { Manager, ManagerOptions } from 'socket.io-client';

/**
 * WebSocket, and polling for networks that let nothing else through: it is tried where WebSocket is refused, each
 * time anew. An attempt that nobody answers ends after `timeout`, ms.
 */
export const webSocketFirst: Partial<ManagerOptions> = {
  transports: ['websocket', 'polling'],
  tryAllTransports: true,
  timeout: 8_000,
};

/**
 * Some proxies neither refuse a WebSocket nor pass it on. Once an attempt was not answered, polling comes first, and
 * WebSocket is what the connection is upgraded to if that works after all.
 */
export function pollWhereNothingAnswers(manager: Manager): void {
  manager.on('error', error => {
    if (error.message === 'timeout') manager.opts.transports = ['polling', 'websocket'];
  });
}
