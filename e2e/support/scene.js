import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { launch } from './chromium.js';
import { Client } from './client.js';
import { OUT } from './paths.js';
import { Program } from './program.js';
import { Recorder } from './recorder.js';
import { Tab } from './tab.js';

/** @type {Promise<import('playwright-core').Browser> | null} */
let shared = null;

/** What takes part in one test: programs, tabs and clients. It watches over them, and ends them all. */
export class Scene {
  /** @type {Program[]} */
  #programs = [];
  /** @type {Tab[]} */
  #tabs = [];
  /** @type {(() => unknown)[]} */
  #closing = [];

  /** @param {string} folder for all that the test leaves behind */
  constructor(folder) {
    this.folder = folder;
  }

  /**
   * A path in the test's folder.
   *
   * @param {string} name
   */
  path(name) {
    return join(this.folder, name);
  }

  /**
   * Starts stripchart on data of its own.
   *
   * @param {...string} args
   */
  async start(...args) {
    const program = await Program.create(this.path(`program-${this.#programs.length}`), args);
    return this.#run(program);
  }

  /**
   * Starts another binary.
   *
   * @param {string} binary
   * @param {...string} args
   */
  async startBinary(binary, ...args) {
    return this.#run(await Program.create(this.path(`program-${this.#programs.length}`), args, binary));
  }

  /** @param {Program} program */
  async #run(program) {
    this.#programs.push(program);
    await program.start();
    return program;
  }

  /**
   * Opens a tab, in a profile of its own.
   *
   * @param {string} url
   * @param {TabOptions} [options]
   */
  async open(url, options = {}) {
    shared ??= launch();
    const { browser = await shared, ...profile } = options;
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...profile });
    this.closing(() => context.close());
    const tab = await this.adopt(await context.newPage());
    await tab.page.goto(url);
    return tab;
  }

  /**
   * Watches over a page that somebody else made.
   *
   * @param {import('playwright-core').Page} page
   */
  async adopt(page) {
    const tab = await Tab.watch(page);
    this.#tabs.push(tab);
    return tab;
  }

  /**
   * The official client on a namespace.
   *
   * @param {Program} program
   * @param {'/' | '/live'} namespace
   */
  client(program, namespace) {
    const client = new Client(program.url, namespace);
    this.closing(() => client.close());
    return client;
  }

  /** @param {Program} program */
  async recorder(program) {
    const recorder = await Recorder.open(program.url);
    this.closing(() => recorder.close());
    return recorder;
  }

  /**
   * Has something done at the end, in the reverse order.
   *
   * @param {() => unknown} close
   */
  closing(close) {
    this.#closing.push(close);
  }

  /** Fails when something went wrong that the test itself may not have looked at. */
  assertWell() {
    for (const tab of this.#tabs) tab.assertClean();
    for (const program of this.#programs) program.assertWell();
  }

  /** Pictures of all tabs, for whoever has to find out why a test failed. */
  async picture() {
    for (const [i, tab] of this.#tabs.entries()) {
      await tab.page.screenshot({ path: this.path(`failed-${i}.png`), timeout: 5_000 }).catch(() => {});
    }
  }

  /** Ends everything, whatever fails on the way. */
  async close() {
    const closing = [...this.#programs.map(program => () => program.close()), ...this.#closing].reverse();
    /** @type {unknown[]} */
    const errors = [];
    for (const close of closing) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `the scene could not be cleared: ${errors.join('; ')}`);
  }
}

/**
 * Makes a test's function out of what happens on a scene.
 *
 * @param {(scene: Scene) => Promise<void>} play
 * @returns {(t: import('node:test').TestContext) => Promise<void>}
 */
export function scene(play) {
  return async t => {
    const folder = join(OUT, t.name.replace(/[^\w]+/g, '-').slice(0, 80));
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const it = new Scene(folder);
    try {
      await play(it);
      it.assertWell();
    } catch (error) {
      await it.picture();
      throw error;
    } finally {
      await it.close();
    }
  };
}

after(async () => {
  const browser = await shared;
  await browser?.close();
});

/**
 * @typedef {import('playwright-core').BrowserContextOptions & { browser?: import('playwright-core').Browser }} TabOptions
 */
