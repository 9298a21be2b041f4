import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { PATIENCE } from './until.js';

/**
 * The official client on a namespace, over WebSocket, without reconnection. It keeps every event in order.
 */
export class Client {
  /** @type {Event[]} */
  events = [];
  /** @type {Set<() => void>} */
  #waiting = new Set();

  /**
   * @param {string} url
   * @param {'/' | '/live'} namespace
   */
  constructor(url, namespace) {
    this.socket = io(url + namespace, { transports: ['websocket'], reconnection: false, forceNew: true });
    this.socket.onAny((name, argument) => this.note(name, argument));
    this.socket.on('disconnect', reason => this.note('(disconnect)', reason));
    this.socket.on('connect_error', error => this.note('(connect_error)', error.message));
  }

  /**
   * @param {string} name
   * @param {any} argument
   */
  note(name, argument) {
    this.events.push({ name, argument });
    for (const look of [...this.#waiting]) look();
  }

  /**
   * Returns the argument of the first event of a name from `start` on, now or when it comes.
   *
   * @param {string} name
   * @param {number} [start] index in `events`
   * @param {number} [within] ms
   * @returns {Promise<any>}
   */
  event(name, start = 0, within = PATIENCE) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.events.slice(start).find(event => event.name === name);
        if (found) done(() => resolve(found.argument));
      };
      const done = (/** @type {() => void} */ end) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        end();
      };
      const timer = setTimeout(() => {
        const seen = this.events.map(event => event.name).join(', ');
        done(() => reject(new Error(`no ${name} within ${within} ms; seen: ${seen}`)));
      }, within);
      this.#waiting.add(look);
      look();
    });
  }

  /**
   * Sends a request and returns its acknowledgement, which is also noted among the events.
   *
   * @param {string} name
   * @param {unknown} argument
   * @returns {Promise<any>}
   */
  request(name, argument) {
    return new Promise((resolve, reject) => {
      this.socket
        .timeout(PATIENCE)
        .emit(name, argument, (/** @type {Error | null} */ e, /** @type {any} */ answer) => {
          if (e) return reject(new Error(`no answer to ${name}: ${e.message}`));
          this.note(`(answer to ${name})`, answer);
          resolve(answer);
        });
    });
  }

  /**
   * Sends a request that must succeed.
   *
   * @param {string} name
   * @param {unknown} argument
   */
  async ask(name, argument) {
    const answer = await this.request(name, argument);
    assert.equal(answer?.ok, true, `${name} ${JSON.stringify(argument)}: ${JSON.stringify(answer)}`);
    return answer;
  }

  close() {
    this.socket.disconnect();
  }
}

/** @typedef {{ readonly name: string, readonly argument: any }} Event */
