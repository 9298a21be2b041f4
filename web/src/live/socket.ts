import { io, type Socket } from 'socket.io-client';
import { signInIfAsked } from '../signin.ts';
import { pollWhereNothingAnswers, webSocketFirst } from '../ways.ts';
import type { Transport, TransportListener } from './transport.ts';

/** How long an acknowledgement may take, ms: the server gives a history five seconds, and others may be ahead. */
const ANSWER_WITHIN = 15_000;

/** Waits between attempts to reconnect, ms: at first so short that a restart is hardly seen. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5_000;

/** Namespace /live of the server that this page came from, over socket.io-client. */
export class SocketTransport implements Transport {
  readonly #socket: Socket;
  #wait: ReturnType<typeof setTimeout> | undefined;

  /** `base` is the page's own address: the product may be served below a path. */
  constructor(base: string) {
    const { origin, pathname } = new URL('socket.io/', base);
    this.#socket = io(`${origin}/live`, {
      path: pathname,
      ...webSocketFirst,
      autoConnect: false,
      reconnectionDelay: FIRST_WAIT,
      reconnectionDelayMax: LONGEST_WAIT,
    });
  }

  open(listener: TransportListener): void {
    const socket = this.#socket;
    pollWhereNothingAnswers(socket.io);
    socket.on('connect', () => {
      socket.io.reconnectionDelay(FIRST_WAIT);
    });
    socket.on('disconnect', reason => {
      if (reason === 'io client disconnect') return;
      listener.disconnected();
      // Where the server itself hung up, Socket.IO leaves the next attempt to us.
      if (!socket.active) this.#connectAfter(socket.io.reconnectionDelay());
    });
    socket.on('connect_error', error => {
      if (socket.active) listener.disconnected();
      else listener.refused(error.message);
      signInIfAsked(error);
    });
    socket.onAny((name: string, argument: unknown) => listener.event(name, argument));
    socket.connect();
  }

  request(event: string, argument: object, answered: (answer: unknown) => void): void {
    this.#socket
      .timeout(ANSWER_WITHIN)
      .emit(event, argument, (error: Error | null, answer: unknown) => answered(error ? undefined : answer));
  }

  postpone(ms: number): void {
    // Every page of this server is told the same time: each comes back at its own moment around it.
    this.#socket.io.reconnectionDelay(ms * (0.75 + Math.random() / 2));
  }

  close(): void {
    clearTimeout(this.#wait);
    this.#socket.disconnect();
  }

  #connectAfter(ms: number): void {
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => this.#socket.connect(), ms);
  }
}
