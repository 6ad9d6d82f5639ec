/**
 * A real worker on model folders of every layout: the same model gives the same tokens; a broken one ends
 * startup.
 */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../src/model/folder.ts';
import { shorten } from '../../src/protocol/text/error-message.ts';
import { onnxBytes, onnxNaming } from '../onnx/onnx-bytes.ts';
import { runCli } from '../support/cli.ts';
import { all, type LogLine, startWorker } from '../support/worker.ts';
import { linked } from './folders.ts';

const BODIES = [
  { prompt: 'Write a haiku about the sea', temperature: 0, max_tokens: 24 },
  { messages: [{ role: 'user', content: 'An old frog' }], seed: 7, max_tokens: 24 },
];

interface Served {
  readonly tokens: readonly unknown[];
  readonly started: LogLine;
  readonly health: unknown;
}

/** A worker's answers on this folder, and its narration while it loads. */
async function served(folder: string): Promise<Served> {
  const worker = await startWorker({ args: ['--model', folder, '--slots', '2'] });
  try {
    const tokens: unknown[] = [];
    for (const [at, body] of BODIES.entries()) {
      const events = await worker.execute({ ...body, job_id: `job-${at}`, logprobs: 0 });
      expect(events.at(-1)?.data.type).toBe('end');
      tokens.push(all(events, 'token').map(({ id, t }) => [id, t]));
    }
    const health = await (await worker.get('/health')).json();
    return { tokens, started: await worker.line('model.load_started'), health };
  } finally {
    await worker.kill();
  }
}

let work: string;
let original: Served;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'served-'));
  original = await served(embeddedModel());
});
afterAll(() => rm(work, { recursive: true }));

async function haiku(name: string): Promise<string> {
  const folder = join(work, name);
  await cp(embeddedModel(), folder, { recursive: true });
  return folder;
}
const fieldsOf = async (file: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;

/** The embedded model in the layout of GenAI's model builder: no config.json, another name for the graph. */
async function asGenai(folder: string, filename: string): Promise<void> {
  await mkdir(dirname(join(folder, filename)), { recursive: true });
  await rename(join(folder, 'onnx/model.onnx'), join(folder, filename));
  for (const name of ['config.json', 'generation_config.json']) await rm(join(folder, name));
  const config = {
    model: {
      bos_token_id: 0,
      context_length: 512,
      decoder: {
        session_options: { log_id: 'onnxruntime-genai', provider_options: [] },
        filename,
        head_size: 16,
        hidden_size: 128,
        inputs: {
          input_ids: 'input_ids',
          attention_mask: 'attention_mask',
          past_key_names: 'past_key_values.%d.key',
          past_value_names: 'past_key_values.%d.value',
        },
        outputs: { logits: 'logits', present_key_names: 'present.%d.key', present_value_names: 'present.%d.value' },
        num_attention_heads: 8,
        num_hidden_layers: 4,
        num_key_value_heads: 4,
      },
      eos_token_id: [3],
      pad_token_id: 4,
      type: 'llama',
      vocab_size: 1024,
    },
    search: { do_sample: true, max_length: 20, temperature: 0.8, top_p: 0.95, top_k: 0, repetition_penalty: 1.0 },
  };
  await writeFile(join(folder, 'genai_config.json'), JSON.stringify(config));
}

describe('the same tokens come', () => {
  test.each(['haiku-cpu-int4.onnx', 'cpu/decoder.onnx'])('from a GenAI folder whose graph is %s', async (filename) => {
    const folder = await haiku(`genai-${basename(filename)}`);
    await asGenai(folder, filename);
    const { tokens, started, health } = await served(folder);
    expect(tokens).toEqual(original.tokens);
    expect(health).toMatchObject({ quant_kind: 'fp32', vocab_size: 1024, context_length: 512 });
    expect(started).toMatchObject({
      device: 'cpu',
      dtype: 'fp32',
      dtypes: 'fp32',
      reason: 'the only weights available',
    });
  });

  test('from links, as in the hub cache', async () => {
    expect((await served(await linked(embeddedModel()))).tokens).toEqual(original.tokens);
  });

  test('without tokenizer_config.json, from the files with the same fields', async () => {
    const folder = await haiku('no-tokenizer-config');
    const { chat_template } = await fieldsOf(join(folder, 'tokenizer_config.json'));
    await writeFile(join(folder, 'chat_template.json'), JSON.stringify({ chat_template }));
    await rm(join(folder, 'tokenizer_config.json'));
    expect((await served(folder)).tokens).toEqual(original.tokens);
  });
});

test('the narration names the chosen weights and the reason', async () => {
  const folder = await haiku('several');
  await writeFile(join(folder, 'onnx/model_fp16.onnx'), onnxBytes());
  const { started } = await served(folder);
  expect(started).toMatchObject({
    dtype: 'fp32',
    dtypes: 'fp32, fp16',
    reason: 'full floats, which a CPU need not widen',
  });
  expect(started.human).toBe('Model loader opens several (3.52 MB, fp32: full floats, which a CPU need not widen)');
});

describe('a broken folder ends startup with exit code 1', () => {
  async function refusal(folder: string, args: readonly string[] = []): Promise<string[]> {
    const { code, stdout } = await runCli(['--port', '0', '--model', folder, ...args]);
    expect(code).toBe(1);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LogLine);
    expect(lines.map(({ event }) => event)).not.toContain('model.load_started');
    const failed = lines.filter(({ event }) => event === 'model.load_failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ level: 'FATAL', error_kind: 'model_load_failed', model_ref: basename(folder) });
    // The reason is truncated if all problems together are too long; each problem has a separate line before
    // the reason.
    const problems = lines.filter(({ event }) => event === 'model.problem');
    for (const line of problems)
      expect(line.human.startsWith(`Model file ${shorten(String(line['file']), 40)} `)).toBe(true);
    return problems.map((line) => `${line['file']} ${line['reason']}`);
  }

  test('and reports every problem', async () => {
    const folder = await haiku('broken');
    await writeFile(join(folder, 'onnx/model.onnx'), onnxNaming({ 'model.onnx_data': 1_000, 'model.onnx_data_1': 10 }));
    await writeFile(join(folder, 'onnx/model.onnx_data'), 'x'.repeat(999));
    await writeFile(join(folder, 'generation_config.json'), '');
    await rm(join(folder, 'config.json'));
    await symlink('../../blobs/gone', join(folder, 'config.json'));
    await writeFile(join(folder, 'tokenizer.json'), 'version https://git-lfs.github.com/spec/v1\n');
    expect(await refusal(folder)).toEqual([
      'onnx/model.onnx_data is cut off: it has 999 of the 1,000 bytes that model.onnx needs',
      'onnx/model.onnx_data_1 is missing',
      'config.json is a link to a missing file',
      'generation_config.json is empty',
      'tokenizer.json is a Git LFS pointer: run git lfs pull',
    ]);
  });

  test('and reports the wrong fields of a GenAI configuration', async () => {
    const folder = await haiku('wrong-fields');
    await asGenai(folder, 'model.onnx');
    const config = (await fieldsOf(join(folder, 'genai_config.json'))) as { model: Record<string, unknown> };
    await writeFile(
      join(folder, 'genai_config.json'),
      JSON.stringify({ model: { ...config.model, vocab_size: 'all' } }),
    );
    expect(await refusal(folder)).toEqual([
      expect.stringMatching(/^genai_config\.json has a wrong "model\.vocab_size" \(/),
    ]);
  });

  test.runIf(process.platform === 'linux')('if a file is a pipe, whose writer the reader would wait for', async () => {
    const folder = await haiku('pipe');
    await rm(join(folder, 'tokenizer.json'));
    execFileSync('mkfifo', [join(folder, 'tokenizer.json')]);
    expect(await refusal(folder)).toEqual(['tokenizer.json is not a regular file']);
  });

  test.each(['generation_config.json', 'chat_template.jinja', 'onnx/model.onnx'])(
    'if a link in place of %s leads out, and its target is not quoted',
    async (name) => {
      const folder = await haiku(`linked-${basename(name)}`);
      const secret = join(work, `secret-${basename(name)}`);
      await writeFile(secret, 'root:SECRETHASH:0\n');
      await rm(join(folder, name), { force: true });
      await symlink(secret, join(folder, name));
      const problems = await refusal(folder);
      expect(problems).toEqual([
        expect.stringMatching(`^${name} is a link that leads out of the model folder; allowed: `),
      ]);
      expect(problems.join()).not.toMatch(/SECRET|secret-/);
    },
  );

  test('if the requested dtype is missing', async () => {
    expect(await refusal(embeddedModel(), ['--dtype', 'q4'])).toEqual([
      'onnx/model_q4.onnx, model_q4.onnx or model.safetensors is missing (dtype q4); the folder has onnx/model.onnx (fp32): use --dtype auto',
    ]);
  });
});
