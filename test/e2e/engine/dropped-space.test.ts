/** Forms of the output with a tokenizer whose decoder drops the first space of a text, as those of SentencePiece. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelVariants } from '../../support/model-variants.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const variants = new ModelVariants();
let worker: TestWorker;
beforeAll(async () => {
  const decoder = { type: 'Sequence', decoders: [{ type: 'ByteLevel' }, { type: 'Strip', content: ' ', start: 1 }] };
  const model = await variants.copy({ 'tokenizer.json': { decoder } });
  worker = await startWorker({ args: ['--model', model, '--slots', '1'] });
});
afterAll(async () => {
  await worker.kill();
  variants.remove();
});

let jobs = 0;
const body = (more: object) => ({ job_id: `space-${++jobs}`, prompt: 'The sea', max_tokens: 32, ...more });

test('an output is one of the texts that the decoder keeps', async () => {
  for (const seed of [1, 2, 3, 4]) {
    expect(textOf(await worker.execute(body({ choice: [' yes', 'no', ' maybe'], seed, temperature: 2 })))).toBe('no');
    expect(textOf(await worker.execute(body({ regex: ' ?[a-c]{2} ', seed })))).toMatch(/^[a-c]{2} $/);
    const value = textOf(await worker.execute(body({ schema: { enum: [' a', 'b'] }, seed })));
    expect(['" a"', '"b"']).toContain(value);
  }
});

test('an output that continues a prompt keeps its first space', async () => {
  for (const choice of [' yes', 'yes'])
    expect(textOf(await worker.execute(body({ raw: true, choice: [choice] })))).toBe(choice);
});

test('only texts with a space at the beginning are refused', async () => {
  const chat = { messages: [{ role: 'user', content: 'The sea' }] };
  for (const [path, form, field] of [
    ['/execute', body({ choice: [' yes', ' no'] }), 'choice'],
    ['/v1/chat/completions', { ...chat, guided_regex: ' +a' }, 'guided_regex'],
  ] as const) {
    const response = await worker.post(path, form);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(`${field} allows only texts that begin with a space`);
  }
});
