import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where everything goes that a run leaves behind. */
export const OUT = join(ROOT, 'e2e', 'out');

/** The program under test: what `make build` made, or $STRIPCHART_BIN. */
export function stripchart() {
  const path = process.env.STRIPCHART_BIN || join(ROOT, 'bin', 'stripchart');
  if (!existsSync(path)) throw new Error(`${path} is missing; run \`make build\`, or set STRIPCHART_BIN`);
  return path;
}

/** The system's Chromium, or $CHROMIUM: a name on the path, or a path. */
export function chromiumPath() {
  const { CHROMIUM, PATH = '' } = process.env;
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  for (const name of CHROMIUM ? [CHROMIUM] : names) {
    if (name.includes('/')) return name;
    for (const folder of PATH.split(delimiter)) {
      const path = join(folder, name);
      if (existsSync(path)) return path;
    }
  }
  throw new Error('Chromium is missing; run `make deps`, or set CHROMIUM');
}
