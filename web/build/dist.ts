import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

/** The committed file that lets the Go package compile before a build; see embed.go. */
const PLACEHOLDER = 'placeholder.txt';

const TEXT = /\.(html|js|css|svg|json|txt|webmanifest)$/;

/**
 * Empties the output folder before a build, except for the placeholder. Vite's own `emptyOutDir` would delete
 * that too and leave the work tree changed.
 */
export function emptyDist(): Plugin {
  let outDir = '';
  return {
    name: 'stripchart:empty-dist',
    apply: 'build',
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    async buildStart() {
      if (!existsSync(outDir)) return;
      for (const name of await readdir(outDir)) {
        if (name !== PLACEHOLDER) await rm(join(outDir, name), { recursive: true });
      }
    },
  };
}

/** The length, bytes, from which a file is kept compressed only: Plotly's, which is a megabyte of the binary. */
const COMPRESSED_ONLY_FROM = 512 * 1024;

/**
 * Writes X.br and X.gz beside every text file X of the build, both at their highest level: the server sends
 * them as they are, so the work is done once, here. A large X is deleted then; the server makes it from X.gz for the
 * rare client that takes neither.
 */
export function precompress(): Plugin {
  let outDir = '';
  return {
    name: 'stripchart:precompress',
    apply: 'build',
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      sequential: true,
      async handler() {
        const entries = await readdir(outDir, { recursive: true });
        await Promise.all(
          entries
            .filter(name => TEXT.test(name) && name !== PLACEHOLDER)
            .map(name => compress(join(outDir, name))),
        );
      },
    },
  };
}

async function compress(path: string): Promise<void> {
  const plain = await readFile(path);
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(plain, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
      },
    }),
    promisify(gzip)(plain, { level: constants.Z_BEST_COMPRESSION }),
  ]);
  await Promise.all([writeFile(`${path}.br`, br), writeFile(`${path}.gz`, gz)]);
  if (plain.length >= COMPRESSED_ONLY_FROM) await rm(path);
}
