import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import type { Plugin } from 'vite';

/**
 * Plotly writes its style rules into a <style> element at run time, which our Content-Security-Policy forbids.
 * It leaves that be when the document has an element with the id and the class below; then the rules must come
 * from elsewhere. So they are read out of the very file that is bundled, and served as a style sheet: an update
 * of Plotly brings its own rules along, or fails the build here.
 */
const LINK_ID = 'plotly.js-style-global';
const LINK_CLASS = 'no-inline-styles';
const FILE = 'plotly-rules.css';

/** Plotly's table of rules, `{"X,X div": "direction:ltr;...", ...}`: X stands for a plot, Y for its messages. */
const TABLE_START = '{"X,X div":';

/**
 * Returns Plotly's rules as CSS, in the order in which they cascade in the page: Plotly inserts each one before
 * all others, so the last of the table comes first. Throws when `source` does not hold the table.
 */
export function plotlyRules(source: string): string {
  const start = source.indexOf(TABLE_START);
  if (start < 0 || !source.includes(LINK_ID.replace('global', '')) || !source.includes(`.${LINK_CLASS}`)) {
    throw new Error(
      'plotly.js: its table of style rules was not found; adapt build/plotly-rules.ts to this version',
    );
  }
  // The table is a flat object of strings; braces inside strings do not occur in CSS declarations.
  const literal = source.slice(start, source.indexOf('}', start) + 1);
  const table: Record<string, string> = runInNewContext(`(${literal})`);
  return Object.entries(table)
    .reverse()
    .map(([selector, rules]) => {
      const full = selector.replaceAll('X', '.js-plotly-plot .plotly').replaceAll('Y', '.plotly-notifier');
      return `${full}{${rules}}\n`;
    })
    .join('');
}

/** Emits Plotly's rules as a hashed asset, and links it in plotly.html. */
export function plotlyStyleSheet(): Plugin {
  const path = createRequire(import.meta.url).resolve('plotly.js-basic-dist-min');
  const css = plotlyRules(readFileSync(path, 'utf8'));
  let building = false;
  return {
    name: 'stripchart:plotly-rules',
    configResolved(config) {
      building = config.command === 'build';
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        if (request.url !== `/${FILE}`) return next();
        response.setHeader('Content-Type', 'text/css');
        response.end(css);
      });
    },
    buildStart() {
      if (building) this.emitFile({ type: 'asset', name: FILE, source: css });
    },
    transformIndexHtml: {
      order: 'post',
      handler(_html, context) {
        if (!context.path.endsWith('plotly.html')) return;
        const names = Object.keys(context.bundle ?? {});
        const file = building ? names.find(name => /plotly-rules-.*\.css$/.test(name)) : FILE;
        if (!file) throw new Error(`${FILE} is not among the built files`);
        const attrs = { id: LINK_ID, class: LINK_CLASS, rel: 'stylesheet', href: `./${file}` };
        return [{ tag: 'link', attrs, injectTo: 'head' }];
      },
    },
  };
}
