/** A limited address space (`ulimit -v`), which has no room for the guard pages of WebAssembly. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid, runCli, STATE_HOME } from '../../support/cli.ts';
import { ForwardProxy } from '../../support/forward-proxy.ts';
import { childrenOf, killAll, track, untilGone } from '../../support/processes.ts';
import { all, CLI, startWorker, type TestWorker } from '../../support/worker.ts';

afterEach(killAll);

const GIB_IN_KIB = 2 ** 20;
/** A command that runs the rest of its arguments with this limit. */
const limitedTo = (kib: number): string[] => ['sh', '-c', `ulimit -v ${kib} && exec "$@"`, 'sh'];

/** Drafts depend on measured times, and change the last bits of the logits. */
const EXACT = ['--speculation', 'off'];

/** The tokens of one job with their log-probabilities, which show a change in the last bit. */
async function tokensOf(worker: TestWorker, job: string): Promise<unknown[]> {
  const sampling = { temperature: 0.9, top_k: 40, top_p: 0.95, min_p: 0.01, seed: 42, logprobs: 5 };
  const events = await worker.execute({
    job_id: job,
    prompt: 'The sea',
    max_tokens: 120,
    min_tokens: 120,
    ...sampling,
  });
  return all(events, 'token').map(({ id, t, logprob, top_logprobs }) => ({ id, t, logprob, top_logprobs }));
}

/** The URL of a built module. */
const moduleAt = (path: string): string => new URL(`../../../dist/${path}`, import.meta.url).href;

/** The output of a script that Node.js runs with these options. */
function outputOf(script: string, options: readonly string[], launcher: readonly string[] = []): string {
  const node = [process.execPath, ...options, '--input-type=module', '-e', script];
  const [command = '', ...args] = [...launcher, ...node];
  return spawnSync(command, args, { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '' } }).stdout;
}

/** From some version on, Node.js drops the guard pages by itself: 24 does, 20 does not. */
const dropsGuardPages =
  process.platform === 'linux' &&
  outputOf('new WebAssembly.Memory({ initial: 1 }); process.stdout.write("yes")', [], limitedTo(4 * GIB_IN_KIB)) ===
    'yes';

describe.runIf(process.platform === 'linux')('an address space', () => {
  test.each([8, 3])('of %i GiB is enough, and every token is the same as without a limit', async (gib) => {
    const [free, limited] = await Promise.all([
      startWorker({ args: EXACT }),
      startWorker({ args: EXACT, launcher: limitedTo(gib * GIB_IN_KIB) }),
    ]);
    const bytes = gib * GIB_IN_KIB * 1024;
    expect(await limited.line('address_space.limited')).toMatchObject({ address_space_bytes: bytes });
    expect(free.lines.map(({ event }) => event)).not.toContain('address_space.limited');
    const expected = await tokensOf(free, 'free');
    expect(expected.length).toBeGreaterThan(100);
    expect(await tokensOf(limited, 'limited')).toEqual(expected);
    // The thread of the tokenizer starts.
    const refusal = await limited.post('/execute', { job_id: 'long', prompt: 'a brook '.repeat(1000) });
    expect(await refusal.json()).toMatchObject({ error: { code: 'PROMPT_TOO_LONG' } });
    const engine = enginePid(limited);
    process.kill(engine, 'SIGKILL');
    await nextEnginePid(limited, engine);
    await limited.line('engine.restarted');
    expect(await tokensOf(limited, 'restarted')).toEqual(expected);
    expect(await Promise.all([free.stop(), limited.stop()])).toEqual([0, 0]);
  });

  test.each(['serve', 'doctor', 'ask'])('that is too small is refused by %s with the least size', async (command) => {
    const args = command === 'ask' ? ['ask', 'A haiku'] : [command];
    const { code, stderr } = await runCli(args, { launcher: limitedTo(2 * GIB_IN_KIB) });
    expect(code).toBe(2);
    expect(stderr).toContain('the address space is limited to 2097152 KiB; a worker needs at least 3145728 KiB');
  });

  test('of 8 GiB is enough for ask, and for pull, which reports its own failure', async () => {
    const launcher = limitedTo(8 * GIB_IN_KIB);
    const ask = await runCli(['ask', 'A haiku', '--quiet'], { launcher });
    expect([ask.code, ask.stderr]).toEqual([0, '']);
    expect(ask.stdout).not.toBe('');
    const pull = await runCli(['pull', 'org/name'], { launcher, env: { HF_HUB_OFFLINE: '1', HF_HOME: '/nowhere' } });
    expect(pull.code).toBe(1);
    expect(pull.stderr).toContain('HF_HUB_OFFLINE');
    const wrong = await runCli(['pull'], { launcher });
    expect(wrong.code).toBe(2);
  });

  test('of 8 GiB is too small for the proxy of a callback, unless Node.js has the option for it', async () => {
    const launcher = limitedTo(8 * GIB_IN_KIB);
    const proxy = await ForwardProxy.start({});
    try {
      const args = ['--callback-url', 'http://manager.test/ready'];
      const env = { HTTP_PROXY: proxy.url };
      const NODE_OPTIONS = dropsGuardPages ? '' : '--disable-wasm-trap-handler';
      if (!dropsGuardPages) {
        const refused = await runCli(['--port', '0', ...args], { launcher, env });
        expect([refused.code, refused.stderr]).toEqual([
          2,
          expect.stringMatching(/HTTP_PROXY: set NODE_OPTIONS=--disable-wasm-trap-handler to use this proxy/),
        ]);
      }
      const worker = await startWorker({ args, launcher, env: { ...env, NODE_OPTIONS } });
      // The proxy does not know the host.
      expect(await worker.line('callback.failed')).toMatchObject({ http_status: 502 });
      expect(proxy.seen[0]).toBe('POST http://manager.test/ready');
      expect(await worker.stop()).toBe(0);
    } finally {
      proxy.close();
    }
  });

  test('lets a signal to ask reach the command, and hides the tokens of both processes', async () => {
    const [command = '', ...args] = [...limitedTo(8 * GIB_IN_KIB), process.execPath, CLI, 'ask', 'A haiku'];
    const secret = 'a-very-secret-token';
    const ask = track(
      spawn(command, args, {
        env: { PATH: process.env['PATH'] ?? '', RBEES_API_TOKEN: secret, XDG_STATE_HOME: STATE_HOME },
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    await once(ask.stdout, 'data');
    const pids = [ask.pid ?? 0, ...childrenOf(ask.pid ?? 0)];
    expect(pids.length).toBe(2);
    for (const pid of pids) expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(secret);
    ask.kill('SIGTERM');
    const [code] = (await once(ask, 'exit')) as [number | null];
    // SIGTERM ends the child, unless the answer was complete before.
    expect([128 + constants.signals.SIGTERM, 0]).toContain(code);
    for (const pid of pids) await untilGone(pid);
  });

  test('without guard pages changes no bit of the sampler', () => {
    const script = `
      import { Random } from '${moduleAt('engine/sampling/random.js')}';
      import { Sampler } from '${moduleAt('engine/sampling/sampler.js')}';
      import { NEUTRAL } from '${moduleAt('protocol/sampling.js')}';
      const random = Random.seeded(1);
      const sampler = new Sampler(4097);
      const rules = [{ topK: 40 }, { topP: 0.9 }, { minP: 0.05 }, { topK: 200, topP: 0.95, minP: 0.01 }, {}];
      for (let row = 0; row < 200; row++) {
        const logits = Float32Array.from({ length: 4097 }, () => random.uniform() * 20 - 10);
        const sampling = { ...NEUTRAL, temperature: 0.7, ...rules[row % rules.length] };
        const sequence = { request: { sampling, logprobs: 5 }, endIds: new Set(), belowMinTokens: false, random };
        process.stdout.write(JSON.stringify(sampler.sample(logits, sequence)) + '\\n');
      }`;
    const [guarded, checked] = [[], ['--disable-wasm-trap-handler']].map((options) => outputOf(script, options));
    expect(guarded?.split('\n').length).toBe(201);
    expect(checked).toBe(guarded);
  });

  test.skipIf(dropsGuardPages)('without room for guard pages gives an error that names the limit', () => {
    const script = `import { Kernels } from '${moduleAt('engine/sampling/kernels.js')}';
      try { new Kernels(64); } catch (error) { process.stdout.write(error.message); }`;
    const stdout = outputOf(script, [], limitedTo(4 * GIB_IN_KIB));
    expect(stdout).toMatch(
      /^raise the limit of the address space \(ulimit -v\): the sampler cannot allocate \d+ bytes/,
    );
  });
});
