/**
 * Where the package's own files lie, from the folder of this file: src/ where Node runs the sources, dist/ when built. The build bundles
 * modules into files of dist/ itself, so no other module may count folders from its own place.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path: string): URL => new URL(path, import.meta.url);
/** `.js` when built, `.ts` where Node runs the sources. */
const script = extname(fileURLToPath(import.meta.url));

export const PACKAGE_FILE = here('../package.json');
export const CONTRACT_FILE = here('../openapi.yaml');
export const EMBEDDED_MODEL = here('../models/haiku');
export const ENGINE_ENTRY = here(`./bridge/process${script}`);
export const TOKENIZER_THREAD_ENTRY = here(`./text/tokenizer-thread${script}`);
