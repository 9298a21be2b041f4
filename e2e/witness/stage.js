// The processes: servers, and Redis. Only what was started here is ended here.

import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** @param {number} ms */
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Ports that nobody listens at, from a number upwards. @param {number} from */
export async function freePort(from) {
  for (let port = from; port < 65000; port++) {
    const free = await new Promise(resolve => {
      const probe = net.createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}

/** @param {string} url */
function status(url) {
  return new Promise(resolve => {
    const request = http.get(url, { timeout: 2000, agent: false }, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(0));
  });
}

class Process {
  /** @param {string} name @param {string} dir */
  constructor(name, dir) {
    this.name = name;
    this.dir = dir;
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.child = undefined;
    this.upSince = Infinity;
    /** Since when it has not stood still. */
    this.backSince = 0;
    this.stopped = false;
  }

  /** @param {string} file @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
  spawn(file, args, env = process.env) {
    const log = openSync(join(this.dir, '..', `${this.name}.log`), 'a');
    const child = spawn(file, args, { stdio: ['ignore', log, log], env });
    this.child = child;
    child.on('exit', () => {
      if (this.child === child) {
        this.child = undefined;
        this.upSince = Infinity;
      }
    });
    return child;
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal) {
    const { child } = this;
    if (!child) return 0;
    const begin = Date.now();
    const gone = new Promise(resolve => child.once('exit', resolve));
    child.kill(signal);
    await gone;
    return Date.now() - begin;
  }

  /** @param {number} ms */
  async freeze(ms) {
    this.stopped = true;
    this.child?.kill('SIGSTOP');
    await sleep(ms);
    this.child?.kill('SIGCONT');
    this.stopped = false;
    this.backSince = Date.now();
  }
}

export class Server extends Process {
  /** @param {Stage} stage @param {string} name @param {number} port @param {string[]} options */
  constructor(stage, name, port, options) {
    super(name, join(stage.dir, name));
    this.stage = stage;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.options = options;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    this.downSince = Date.now();
    this.starts = 0;
  }

  /** @param {number} [patience] */
  async start(patience = 240_000) {
    mkdirSync(this.dir, { recursive: true });
    this.starts++;
    const child = this.spawn(
      this.stage.binary,
      ['serve', '--data-dir', this.dir, '--listen', `127.0.0.1:${this.port}`, ...this.options],
      { ...process.env, TZ: this.stage.zone },
    );
    const begin = Date.now();
    while ((await status(`${this.url}/readyz`)) !== 200) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${this.name} ended with ${child.exitCode}`);
      if (Date.now() - begin > patience) throw new Error(`${this.name} is not ready after ${patience} ms`);
      await sleep(50);
    }
    this.upSince = Date.now();
    this.backSince = this.upSince;
    return this.upSince - begin;
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal) {
    this.downSince = Date.now();
    this.upSince = Infinity;
    const took = await super.end(signal);
    this.agent.destroy();
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    return took;
  }
}

export class Redis extends Process {
  /** @param {Stage} stage @param {number} port */
  constructor(stage, port) {
    super('redis', join(stage.dir, 'redis'));
    this.port = port;
    this.stage = stage;
  }

  async start() {
    mkdirSync(this.dir, { recursive: true });
    const binary = process.env.REDIS_SERVER || 'redis-server';
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.dir, '--save', ''];
    const child = this.spawn(binary, [...args, '--appendonly', 'yes', '--appendfsync', 'everysec']);
    const begin = Date.now();
    while (!(await this.ask('PING')).startsWith('+PONG')) {
      if (child.exitCode !== null) throw new Error(`redis ended with ${child.exitCode}`);
      if (Date.now() - begin > 20_000) throw new Error('redis does not answer');
      await sleep(50);
    }
    this.upSince = Date.now();
    this.backSince = this.upSince;
  }

  wipe() {
    rmSync(this.dir, { recursive: true, force: true });
    mkdirSync(this.dir, { recursive: true });
  }

  /** The beginning of the answer to a command. @param {...string} words @returns {Promise<string>} */
  ask(...words) {
    return new Promise(resolve => {
      const socket = net.connect(this.port, '127.0.0.1');
      let text = '';
      const done = () => {
        socket.destroy();
        resolve(text);
      };
      socket.setTimeout(2000, done);
      socket.on('error', done);
      socket.on('close', done);
      socket.on('data', data => {
        text += data.toString('latin1');
        if (text.endsWith('\r\n')) done();
      });
      socket.write(`*${words.length}\r\n${words.map(w => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
    });
  }

  /** When the oldest entry of the log was written, Unix ms. */
  async oldest() {
    const answer = await this.ask('XRANGE', '{stripchart}:log', '-', '+', 'COUNT', '1');
    return Number(/(\d{13})-\d+/.exec(answer)?.[1] ?? 0);
  }
}

export class Stage {
  /** @param {{ binary: string, mode: string, dir: string, window: number, defaultSeries: string, options?: string[] }} o */
  constructor({ binary, mode, dir, window, defaultSeries, options = [] }) {
    this.binary = binary;
    this.mode = mode;
    this.dir = dir;
    // A zone of half an hour shows a mistake that UTC hides.
    const kolkata = existsSync('/usr/share/zoneinfo/Asia/Kolkata');
    this.zone = kolkata ? 'Asia/Kolkata' : 'UTC';
    this.offset = kolkata ? 330 : 0;
    this.options = ['--window', `${window}s`, '--default-series', defaultSeries, ...options];
    /** @type {Server[]} */
    this.servers = [];
    /** @type {Redis | undefined} */
    this.redis = undefined;
  }

  /** @param {number} port */
  async start(port) {
    mkdirSync(this.dir, { recursive: true });
    let bus = ['--bus', 'memory'];
    if (this.mode === 'redis') {
      this.redis = new Redis(this, await freePort(port));
      await this.redis.start();
      bus = ['--bus', `redis://127.0.0.1:${this.redis.port}/0`];
      port = this.redis.port + 1;
    }
    for (const name of this.mode === 'redis' ? ['a', 'b'] : ['a']) {
      port = await freePort(port);
      const server = new Server(this, name, port++, [...bus, ...this.options]);
      this.servers.push(server);
      await server.start();
    }
  }

  /** Another server than this one if there is one that runs, mostly. @param {Server} server @param {import('./random.js').Random} random */
  other(server, random) {
    const rest = this.servers.filter(s => s !== server && s.child && !s.stopped);
    if (rest.length === 0) return server;
    return server.child && !server.stopped && random.chance(0.5) ? server : random.pick(rest);
  }

  async end() {
    for (const p of [...this.servers, ...(this.redis ? [this.redis] : [])]) {
      p.child?.kill('SIGCONT');
      await p.end('SIGKILL');
    }
  }
}

export { run, sleep, status };
