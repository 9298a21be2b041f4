import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

/** Who may import what, and why. `from` and `to` are folders or files of src, or packages. */
const RULES: readonly { readonly to: RegExp; readonly from: RegExp; readonly because: string }[] = [
  {
    to: /^uplot$/,
    from: /^charts\/(strip|hatch|axes|limits)\.ts$/,
    because: 'one part knows the charting library',
  },
  {
    to: /^socket\.io-client$/,
    from: /^(live\/socket|plotly\/main|ways)\.ts$/,
    because: 'one part of each page knows the transport',
  },
  {
    to: /^texts\.ts$/,
    from: /^(model|live|charts|page|ui)\//,
    because: 'the page of Plotly stands on its own',
  },
  {
    to: /^signin\.ts$/,
    from: /^(live\/socket|plotly\/main|main)\.tsx?$/,
    because: 'each page signs in where it begins, and where it is refused',
  },
  { to: /^ways\.ts$/, from: /^(live\/socket|plotly\/main)\.ts$/, because: 'both pages take the same ways' },
  {
    to: /^plotly\.js-basic-dist-min$/,
    from: /^plotly\/main\.ts$/,
    because: 'Plotly is loaded on its own page only',
  },
  {
    to: /^preact(\/|$)/,
    from: /^(ui\/|main\.tsx$)/,
    because: 'everything below the components works without them',
  },
  {
    to: /^@preact\/signals$/,
    from: /^(ui|page)\//,
    because: 'the model and the client know nothing of the page',
  },
  { to: /^model\//, from: /^(model|live|charts|page|ui)\//, because: 'the page of Plotly stands on its own' },
  {
    to: /^live\//,
    from: /^(live|page)\/|^main\.tsx$/,
    because: 'charts and components see the model, not the connection',
  },
  { to: /^charts\//, from: /^(charts|page)\//, because: 'components see views, not charts' },
  { to: /^page\//, from: /^(page|ui)\/|^main\.tsx$/, because: 'nothing below the page knows it' },
  { to: /^ui\//, from: /^(ui\/|main\.tsx$)/, because: 'components are on top' },
  { to: /^plotly\//, from: /^plotly\//, because: 'the page of Plotly stands on its own' },
];

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  name => /\.tsx?$/.test(name) && !/\.(test|d)\.tsx?$|^testing\//.test(name),
);

test.each(files)('%s imports what it may', name => {
  const source = readFileSync(join(src, name), 'utf8');
  for (const [, specifier] of source.matchAll(/(?:^import|\bfrom) '([^']+)';$/gm)) {
    const target = specifier!.startsWith('.') ? normalize(join(dirname(name), specifier!)) : specifier!;
    if (/\.(css|svg\?raw)$/.test(target)) continue;
    const rule = RULES.find(({ to }) => to.test(target));
    if (!rule) throw new Error(`${name} imports ${target}, which no rule allows`);
    if (!rule.from.test(name)) throw new Error(`${name} may not import ${target}: ${rule.because}`);
  }
});

test('the model works without a browser', () => {
  const globals =
    /\b(document|window\.|location|localStorage|navigator|performance|setTimeout|requestAnimationFrame)\b/;
  for (const name of files.filter(file => file.startsWith('model/'))) {
    const code = readFileSync(join(src, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    expect(globals.exec(code)?.[0], name).toBeUndefined();
  }
});
