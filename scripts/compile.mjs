// @ts-check
/**
 * Makes the code cache of a build: starts its worker on the embedded model and sends it the usual requests.
 * The worker, its engine and its thread then write the code that V8 compiled
 * (docs/decisions/0022-cheap-workers.md). Without this cache the build works, and starts slower.
 *
 *   node scripts/compile.mjs <folder of the build>
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const folder = resolve(process.argv[2] ?? 'dist');
const cache = join(folder, 'bundle', 'cache', `${process.version}-${process.platform}-${process.arch}`);
const CACHES = ['cli', 'engine', 'tokenizer-thread'];
const MOST_MS = 60_000;
/** Longer than the texts that the event loop encodes itself. */
const LONG_TEXT = 'a sea of words '.repeat(2000);

// Not the settings of this shell or of a file, and no options that change the flags of V8.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(?:RBEES_|NODE_|npm_)/.test(name)),
);
const worker = spawn(process.execPath, [join(folder, 'cli.js'), '--port', '0', '--log-level', 'info'], {
  cwd: tmpdir(),
  env: { ...environment, RBEES_ENV_FILE: 'none' },
  stdio: ['pipe', 'pipe', 'inherit'],
});
const ended = new Promise((resolve) => worker.once('close', resolve));
const late = setTimeout(() => worker.kill('SIGKILL'), MOST_MS);

try {
  await Promise.race([useWorker(), ended]);
} catch (error) {
  process.stderr.write(`The worker could not be used: ${error}\n`);
}
worker.kill('SIGTERM');
await ended;
clearTimeout(late);
const missing = CACHES.filter((name) => !existsSync(join(cache, name)));
if (missing.length > 0)
  process.stderr.write(`No compiled code for ${missing.join(', ')}: workers of this build start slower.\n`);

async function useWorker() {
  const url = await readyUrl();
  const text = { job_id: 'text', prompt: 'Write a haiku about the sea', max_tokens: 24, seed: 1 };
  const chat = { job_id: 'chat', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 };
  const long = { job_id: 'long', prompt: LONG_TEXT, max_tokens: 1 };
  await Promise.all([text, chat, long].map((body) => post(`${url}/execute`, body)));
  for (const path of ['/health', '/ready', '/live', '/metrics']) await (await fetch(url + path)).text();
  for (let tries = 0; tries < 100 && !existsSync(join(cache, 'tokenizer-thread')); tries += 1) await sleep(50);
}

/**
 * @param {string} url
 * @param {object} body
 */
async function post(url, body) {
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  await answer.text();
}

/** @returns {Promise<string>} */
function readyUrl() {
  return new Promise((resolve) => {
    let lines = '';
    worker.stdout.setEncoding('utf8').on('data', (text) => {
      lines += text;
      const url = /"url":"(http[^"]+)"/.exec(lines)?.[1];
      if (url !== undefined && lines.includes('"event":"warmup.done"')) resolve(url);
    });
  });
}
