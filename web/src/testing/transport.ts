import type { Transport, TransportListener } from '../live/transport.ts';

/** A request that the client made and the test may answer. */
export interface Request {
  readonly event: string;
  readonly argument: Record<string, unknown>;
  readonly answer: (answer: unknown) => void;
}

/** A connection of which the test is the other end. */
export class FakeTransport implements Transport {
  readonly requests: Request[] = [];
  postponed: number | null = null;
  closed = false;
  #listener: TransportListener | null = null;

  open(listener: TransportListener): void {
    this.#listener = listener;
  }

  request(event: string, argument: object, answered: (answer: unknown) => void): void {
    this.requests.push({ event, argument: argument as Record<string, unknown>, answer: answered });
  }

  postpone(ms: number): void {
    this.postponed = ms;
  }

  close(): void {
    this.closed = true;
  }

  /** The server sends an event. */
  send(event: string, argument: unknown): void {
    this.#listener!.event(event, argument);
  }

  lose(): void {
    this.#listener!.disconnected();
  }

  refuse(message: string): void {
    this.#listener!.refused(message);
  }

  /** The requests since the last call. */
  take(): Request[] {
    return this.requests.splice(0);
  }
}
