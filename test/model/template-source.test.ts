import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_TEMPLATE, readTemplate, type TemplateFiles } from '../../src/model/template-source.ts';
import { haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

/** The files of a folder with a tokenizer_config.json and, if `own` is given, a template file. */
async function files(config: object, own?: string, name = 'chat_template.jinja'): Promise<TemplateFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'template-'));
  const tokenizerConfigFile = join(folder, 'tokenizer_config.json');
  await writeFile(tokenizerConfigFile, JSON.stringify(config));
  if (own === undefined) return { tokenizerConfigFile };
  const chatTemplateFile = join(folder, name);
  await writeFile(chatTemplateFile, own);
  return { tokenizerConfigFile, chatTemplateFile };
}

const listed = (template: string): object => ({
  chat_template: [
    { name: 'tool_use', template: 'no' },
    { name: 'default', template },
  ],
});

describe('the source of a chat template', () => {
  it('of the embedded model is tokenizer_config.json, with its special tokens', async () => {
    expect(await readTemplate(haikuFiles)).toMatchObject({
      file: 'tokenizer_config.json',
      text: expect.stringContaining('<|assistant|>'),
      tokens: { bos_token: '<|bos|>' },
    });
  });

  it('is undefined for a model without a template', async () => {
    expect(await readTemplate(await files({ bos_token: '<s>' }))).toBeUndefined();
    expect(await readTemplate(await files({ chat_template: [{ name: 'tool_use', template: 'x' }] }))).toBeUndefined();
    expect(await readTemplate({})).toBeUndefined();
  });

  it('is the entry named default of a list', async () => {
    expect((await readTemplate(await files(listed('yes'))))?.text).toBe('yes');
  });

  it('is the template file, if there is one, before tokenizer_config.json', async () => {
    expect(await readTemplate(await files({ chat_template: 'config' }, 'own'))).toEqual({
      file: 'chat_template.jinja',
      text: 'own',
      tokens: {},
    });
  });

  it('is read without the byte-order mark of its file', async () => {
    expect((await readTemplate(await files({}, '\ufeff{{ bos_token }}')))?.text).toBe('{{ bos_token }}');
    const json = '\ufeff{"chat_template": "own", "other": NaN}';
    expect((await readTemplate(await files({}, json, 'chat_template.json')))?.text).toBe('own');
  });

  it.each([{ chat_template: 'own' }, listed('own')])('can be a JSON file: %j', async (own) => {
    const found = await readTemplate(
      await files({ chat_template: 'config' }, JSON.stringify(own), 'chat_template.json'),
    );
    expect(found).toMatchObject({ file: 'chat_template.json', text: 'own' });
  });

  it('is refused if it is too long, by file, length and limit', async () => {
    const long = 'é'.repeat(MAX_TEMPLATE);
    expect((await readTemplate(await files({}, long)))?.text).toBe(long);
    const limit = `at most ${MAX_TEMPLATE} characters are allowed. Shorten it`;
    await expect(readTemplate(await files({ chat_template: `${long}x` }))).rejects.toThrow(
      `The chat template in tokenizer_config.json has ${MAX_TEMPLATE + 1} characters; ${limit}`,
    );
    await expect(readTemplate(await files({}, `${long}x`))).rejects.toThrow(
      `The chat template in chat_template.jinja has ${MAX_TEMPLATE + 1} characters; ${limit}`,
    );
    await expect(readTemplate(await files({}, 'x'.repeat(3 * MAX_TEMPLATE + 1)))).rejects.toThrow(
      `The chat template in chat_template.jinja has ${3 * MAX_TEMPLATE + 1} bytes; ${limit}`,
    );
  });

  it('has the special tokens that are strings or objects with a content', async () => {
    const config = { bos_token: { content: '<s>', lstrip: false }, eos_token: '</s>', pad_token: null, other: 'x' };
    const found = await readTemplate(await files({ ...config, chat_template: 'x' }));
    expect(found?.tokens).toEqual({ bos_token: '<s>', eos_token: '</s>' });
  });

  it('rejects for a file that is not JSON', async () => {
    await expect(readTemplate(await files({}, '{', 'chat_template.json'))).rejects.toThrow(
      'chat_template.json is not valid JSON (ends early: line 1, column 2).',
    );
  });
});
