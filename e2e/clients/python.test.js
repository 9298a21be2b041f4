import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild } from '../support/children.js';
import { QUERY } from './support/judge.js';
import { testClient } from './support/scenario.js';

/** The system's own, without the user's packages: whichever other Python is on the path. */
const PYTHON = '/usr/bin/python3';
const SYSTEM_ONLY = '-s';

const VIEWER = fileURLToPath(new URL('support/viewer.py', import.meta.url));

before(async () => {
  await promisify(execFile)(PYTHON, [SYSTEM_ONLY, '-c', 'import requests, socketio, websocket']).catch(
    error => {
      throw new Error(`python3-socketio is missing; run \`make deps\`\n${error.message}`);
    },
  );
});

testClient('python3-socketio', () => async (url, transports) => {
  const { child, exited } = startChild(PYTHON, [SYSTEM_ONLY, VIEWER, url, QUERY, ...transports]);
  /** @type {import('./support/watch.js').Entry[]} */
  const entries = [];
  /** @type {string[]} */
  const complaints = [];
  const lines = createInterface(/** @type {import('node:stream').Readable} */ (child.stderr));
  lines.on('line', line => {
    if (line.startsWith('{')) entries.push(JSON.parse(line));
    else complaints.push(line);
  });
  return {
    async log() {
      assert.deepEqual(complaints, [], 'on standard error');
      return entries;
    },
    async close() {
      child.kill('SIGTERM');
      await exited;
    },
  };
});
