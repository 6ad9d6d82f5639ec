// @ts-check
/**
 * Makes the files of the web page from src/page: one script, one style sheet, the document and its icon.
 *
 *   node scripts/bundle-page.mjs <folder of the build>
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const source = fileURLToPath(new URL('../src/page', import.meta.url));
const page = join(resolve(process.argv[2] ?? 'dist'), 'page');

mkdirSync(page, { recursive: true });
await writeScript();
writeFileSync(join(page, 'page.css'), styleSheet());
for (const name of ['index.html', 'icon.svg']) copyFileSync(join(source, name), join(page, name));

async function writeScript() {
  const build = await rolldown({ input: join(source, 'main.ts'), platform: 'browser', treeshake: true });
  await build.write({ file: join(page, 'page.js'), format: 'iife', minify: true, comments: false });
  await build.close();
}

/** All style sheets in the order of their names, without comments and indentation. */
function styleSheet() {
  const folder = join(source, 'style');
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s*\n\s*/g, '\n')
    .trim();
}
