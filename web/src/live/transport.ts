/** What the client needs of a connection; live/socket.ts is the real one. */
export interface Transport {
  /** Starts connecting, and from then on reconnecting. Called once. */
  open(listener: TransportListener): void;
  /**
   * Sends a request. `answered` is called once, at once when the answer arrives, so that no later event overtakes
   * it; with undefined when none came in time.
   */
  request(event: string, argument: object, answered: (answer: unknown) => void): void;
  /** The server announced a stop: come back after about `ms`, not earlier. */
  postpone(ms: number): void;
  /** Ends the connection for good. */
  close(): void;
}

export interface TransportListener {
  /** It was lost, or could not be made; another attempt follows by itself. */
  disconnected(): void;
  /** The server refused this page; no attempt follows. */
  refused(message: string): void;
  event(name: string, argument: unknown): void;
}
