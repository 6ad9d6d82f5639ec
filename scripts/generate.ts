/**
 * Writes the files that are made from the code: openapi.yaml, openapi.json, .env.example, docs/limits.md,
 * docs/metrics.md, docs/narration.md, the pages of licences and the kernels in WebAssembly. A test compares the
 * files with `generated()`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Document, visit } from 'yaml';
import { envExample } from '../src/config/help.ts';
import { kernels } from './kernels.ts';
import { licencesPage, notices } from './licence-files.ts';
import { limitsPage } from './limits-page.ts';
import { metricsPage } from './metrics-page.ts';
import { narrationPage } from './narration-page.ts';
import { openapi, readRecordings } from './openapi.ts';

const ROOT = new URL('../', import.meta.url);
const HEAD = '# Made by `npm run generate`: edit src/contract or scripts/openapi-routes.ts instead.\n';

/** Path from the root of the repository → text of the file. */
export function generated(): Readonly<Record<string, string>> {
  const contract = openapi();
  return {
    'openapi.yaml': HEAD + yaml(contract),
    // A worker serves the bytes of both files, and has no parser of YAML.
    'openapi.json': `${JSON.stringify(contract, undefined, 2)}\n`,
    '.env.example': envExample(),
    'docs/licences.md': licencesPage(),
    'docs/limits.md': limitsPage(),
    'docs/metrics.md': metricsPage(),
    'docs/narration.md': narrationPage(readRecordings()),
    'THIRD_PARTY_NOTICES.txt': notices(),
    'src/engine/sampling/kernels.wasm.ts': kernels('sampling', "The sampler's passes"),
    'src/engine/conversion/kernels/kernels.wasm.ts': kernels('conversion/kernels', 'Weight conversion'),
  };
}

function yaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, scalar) {
      // A block of nothing but line breaks is hard to see.
      if (typeof scalar.value === 'string' && scalar.value.trim() === '') scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 120, singleQuote: true, blockQuote: 'literal' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(generated())) {
    writeFileSync(new URL(path, ROOT), text);
    process.stdout.write(`${path} (${text.split('\n').length} lines)\n`);
  }
}
