import { defineConfig } from 'vitest/config';
import { plotlyRoute } from './build/dev.ts';
import { emptyDist, precompress } from './build/dist.ts';
import { plotlyStyleSheet } from './build/plotly-rules.ts';

/** Where `npm run dev` finds the Go server. */
const server = process.env.STRIPCHART_URL ?? 'http://127.0.0.1:5000';

export default defineConfig({
  // Relative, because the product may be served below a path: https://example.org/strip/.
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [emptyDist(), plotlyStyleSheet(), plotlyRoute(), precompress()],
  build: {
    target: 'es2022',
    emptyOutDir: false,
    // Inlined assets and the preload polyfill would both need exceptions in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1300,
    rolldownOptions: { input: ['index.html', 'plotly.html'] },
  },
  server: {
    proxy: {
      '/socket.io': { target: server, ws: true },
      '/api': server,
      '/metrics': server,
    },
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    environment: 'node',
    // Style sheets are read by tests of contrast; otherwise they would come as empty.
    css: true,
    // Time enough on a machine that is busy with other tests; none of these waits for time.
    testTimeout: 20_000,
  },
});
