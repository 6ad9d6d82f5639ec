/** Messages are rendered on the event loop within small limits, and otherwise on the thread. */
import { afterEach, describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../../src/text/template/chat-template.ts';
import { LOOP_RENDER, LOOP_UNITS, Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { builtThread, haikuFiles } from '../tokenizer/small-tokenizers.ts';

const plain = { addSpecialTokens: false } as const;
const opened: Tokenizer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((tokenizer) => tokenizer.close()));
});

/** @param threadEntry a missing file if the thread must not be used */
async function tokenizerWith(text: string, threadEntry = builtThread): Promise<Tokenizer> {
  const template = new ChatTemplate({
    name: 'default',
    file: 'chat_template.jinja',
    text,
    tokens: { bos_token: '<|bos|>' },
  });
  const tokenizer = await Tokenizer.open(haikuFiles, { threadEntry, templates: [template] });
  opened.push(tokenizer);
  return tokenizer;
}
const missing = new URL('./missing.js', builtThread);

const say = (content: string) => ({ messages: [{ role: 'user', content }] });
const ECHO = '{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}';
/** Makes more text than the event loop allows. */
const WORK = `{% for n in range(30) %}{% set text = '${'x'.repeat(LOOP_RENDER.text / 25)}' | upper %}{% endfor %}`;
const REFUSES = "{{ raise_exception('No ' + messages[0].role) }}";
describe('short messages', () => {
  it('need no thread, and get the special tokens of the template', async () => {
    const tokenizer = await tokenizerWith(ECHO, missing);
    const ids = await tokenizer.encode(say('the sea'), plain);
    expect([ids[0], tokenizer.decode(ids)]).toEqual([0, 'the sea']);
  });

  it('that need more work are rendered on the thread, with the same ids', async () => {
    const [slow, quick] = [await tokenizerWith(WORK + ECHO), await tokenizerWith(ECHO)];
    expect(await slow.encode(say('the sea'), plain)).toEqual(await quick.encode(say('the sea'), plain));
    const without = await tokenizerWith(WORK + ECHO, missing);
    await expect(without.encode(say('the sea'), plain)).rejects.toThrow('The tokenizer thread was lost.');
  });
});

describe('long messages', () => {
  const long = say('the sea '.repeat(LOOP_UNITS / 4));

  it('are encoded on the thread', async () => {
    const tokenizer = await tokenizerWith(ECHO);
    const ids = await tokenizer.encode(long, plain);
    expect([ids[0], tokenizer.decode(ids)]).toEqual([0, long.messages[0]?.content]);
  });

  it('that the template refuses get the same error on the thread', async () => {
    const [quick, slow] = [await tokenizerWith(REFUSES, missing), await tokenizerWith(WORK + REFUSES)];
    const errors = await Promise.allSettled([quick.encode(long, plain), slow.encode(long, plain)]);
    const [onLoop, onThread] = errors.map((one) => one.status === 'rejected' && one.reason);
    expect(onLoop).toMatchObject({ code: 'INVALID_REQUEST', violations: [{ constraint: 'chat_template' }] });
    expect(onThread).toEqual(onLoop);
  });

  it('that cannot fit are refused before they are encoded, without the thread if it does not render them', async () => {
    for (const tokenizer of [await tokenizerWith(ECHO, missing), await tokenizerWith(WORK + ECHO)])
      await expect(tokenizer.encode(long, { ...plain, mostTokens: 100 })).rejects.toMatchObject({
        name: 'EncodeError',
        kind: 'too_long',
      });
  });
});

it('a text that cannot fit is refused without the thread', async () => {
  const tokenizer = await tokenizerWith(ECHO, missing);
  const text = 'x'.repeat(30_000);
  await expect(tokenizer.encode(text, { ...plain, mostTokens: 500 })).rejects.toMatchObject({ kind: 'too_long' });
  await expect(tokenizer.encode(text, { ...plain, mostTokens: 30_000 })).rejects.toThrow('thread was lost');
});
