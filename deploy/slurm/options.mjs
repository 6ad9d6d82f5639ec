/** The command line of pool.mjs. Options of sbatch follow after `--`, for example `-- --gres=gpu:1`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, parseEnv } from 'node:util';

const text = (value) => ({ type: 'string', default: value });
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Number of workers. */
    count: text('3'),
    /** Name of their jobs. Only one pool may have a name. */
    name: text('rbees-worker'),
    /** Address of the pool, which every node reaches. */
    listen: text('127.0.0.1:9100'),
    /** File with RBEES_API_TOKEN and RBEES_CALLBACK_TOKEN. */
    tokens: text(''),
    script: text(fileURLToPath(new URL('worker.sbatch', import.meta.url))),
    /** Files for routers: endpoints for llm-d, and the server of each worker id for HAProxy. */
    endpoints: text(),
    map: text(),
    /** Admin socket of HAProxy, once for each HAProxy, and the backend. */
    haproxy: { type: 'string', multiple: true, default: [] },
    backend: text('workers'),
    /** Seconds between two polls, and seconds without an answer after which a worker is replaced. */
    poll: text('2'),
    'dead-after': text('30'),
  },
});

/** The value of an option. @throws Error if it does not match */
function checked(name, pattern, form) {
  if (!pattern.test(values[name])) throw new Error(`--${name} must be ${form}, not "${values[name]}".`);
  return values[name];
}
const milliseconds = (name) => 1000 * checked(name, /^\d+(?:\.\d+)?$/, 'a number of seconds');

const tokenFile = resolve(checked('tokens', /./, 'a file with RBEES_CALLBACK_TOKEN'));
const { RBEES_CALLBACK_TOKEN: token = '' } = parseEnv(readFileSync(tokenFile, 'utf8'));
if (token.length < 8) throw new Error(`RBEES_CALLBACK_TOKEN is missing in ${tokenFile}.`);

export const options = {
  ...values,
  ...{ tokenFile, token, sbatchOptions: positionals },
  count: Number(checked('count', /^\d{1,6}$/, 'a number of workers')),
  name: checked('name', /^[\w.-]+$/, 'of letters, digits, ".", "_" and "-"'),
  listen: new URL(`http://${checked('listen', /^[\w.-]+:\d+$/, '<address>:<port>')}`),
  pollMs: milliseconds('poll'),
  deadAfterMs: milliseconds('dead-after'),
};
