/** Chat templates: files, arguments and refusals. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WorkerError } from '../../../src/contract/errors.ts';
import { ChatTemplate, type TemplateFiles } from '../../../src/text/template/chat-template.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { haikuFiles } from '../tokenizer/small-tokenizers.ts';

async function files(config: object, jinja?: string, name = 'chat_template.jinja'): Promise<TemplateFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'template-'));
  const tokenizerConfigFile = join(folder, 'tokenizer_config.json');
  await writeFile(tokenizerConfigFile, JSON.stringify(config));
  if (jinja === undefined) return { tokenizerConfigFile };
  const chatTemplateFile = join(folder, name);
  await writeFile(chatTemplateFile, jinja);
  return { tokenizerConfigFile, chatTemplateFile };
}

async function opened(config: object, jinja?: string): Promise<ChatTemplate> {
  const template = await ChatTemplate.open(await files(config, jinja));
  if (template === undefined) throw new Error('no template');
  return template;
}

const hello = [{ role: 'user', content: 'Hello' }];
const refusing =
  "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate, not ' + m['content']) }}{% endif %}{{ m['content'] }}{% endfor %}";

function violation(template: ChatTemplate, messages: { role: string; content: string }[]): WorkerError {
  try {
    template.render(messages);
  } catch (error) {
    if (error instanceof WorkerError) return error;
    throw error;
  }
  throw new Error('rendered');
}

describe('the template', () => {
  it('of the embedded model gives ids with its special tokens, ready for the assistant', async () => {
    const template = await ChatTemplate.open(haikuFiles);
    const prompt = template?.render([{ role: 'user', content: 'the sea' }]) ?? '';
    expect(prompt).toBe('<|bos|><|user|>the sea<|end|><|assistant|>');
    const tokenizer = await Tokenizer.open(haikuFiles);
    const ids = await tokenizer.encode(prompt, { addSpecialTokens: false });
    expect([ids.slice(0, 2), ids.slice(-2)]).toEqual([
      [0, 1],
      [3, 2],
    ]);
  });

  it('is absent for a model without one', async () => {
    expect(await ChatTemplate.open(await files({ bos_token: '<s>' }))).toBeUndefined();
    expect(
      await ChatTemplate.open(await files({ chat_template: [{ name: 'tool_use', template: 'x' }] })),
    ).toBeUndefined();
  });

  it('is the one named default of a list', async () => {
    const template = await opened({
      chat_template: [
        { name: 'rag', template: 'no' },
        { name: 'default', template: 'yes' },
      ],
    });
    expect(template.render(hello)).toBe('yes');
  });

  it('in a separate file takes precedence', async () => {
    expect((await opened({ chat_template: 'config' }, '{{ messages[0].content }} from the file')).render(hello)).toBe(
      'Hello from the file',
    );
  });

  it('may be in a separate JSON file, alone or as the one named default', async () => {
    for (const chat_template of [
      'own',
      [
        { name: 'tool_use', template: 'no' },
        { name: 'default', template: 'own' },
      ],
    ]) {
      const own = await files({ chat_template: 'config' }, JSON.stringify({ chat_template }), 'chat_template.json');
      expect((await ChatTemplate.open(own))?.render(hello)).toBe('own');
    }
    await expect(ChatTemplate.open(await files({}, '{"chat_template": "{{ a"}', 'chat_template.json'))).rejects.toThrow(
      /chat_template\.json/,
    );
  });

  it('gets special tokens as strings or objects, the generation prompt, and no tools', async () => {
    const template = await opened({
      bos_token: { content: '<s>', lstrip: false },
      eos_token: '</s>',
      pad_token: null,
      chat_template:
        '{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}{{ add_generation_prompt }}{{ tools is none }}',
    });
    expect(template.render(hello)).toBe('<s></s>FalseTrueTrue');
  });

  it('that is invalid is refused at the load, with the name of its file', async () => {
    await expect(ChatTemplate.open(await files({ chat_template: '{% for %}' }))).rejects.toThrow(
      /tokenizer_config\.json/,
    );
    await expect(ChatTemplate.open(await files({}, '{{ a'))).rejects.toThrow(/chat_template\.jinja/);
  });
});

describe('messages that the template refuses', () => {
  it("are an invalid request with the template's reason on the field messages", async () => {
    const error = violation(await opened({ chat_template: refusing }), [...hello, { role: 'user', content: 'again' }]);
    expect(error.code).toBe('INVALID_REQUEST');
    expect(error.violations).toEqual([
      {
        field: 'messages',
        constraint: 'chat_template',
        message: "The model's chat template refuses these messages: Roles must alternate, not again",
      },
    ]);
    expect(JSON.stringify(error.violations)).not.toContain(' at ');
  });

  it('are not quoted', async () => {
    const error = violation(await opened({ chat_template: refusing }), [
      ...hello,
      { role: 'user', content: 'a secret of the user' },
    ]);
    expect(error.violations?.[0]?.message).toBe("The model's chat template refuses these messages.");
  });

  it('get a short reason in one line for any text of the template', async () => {
    const long = `{{ raise_exception('${'😀\\n'.repeat(500)}') }}`;
    const message = violation(await opened({ chat_template: long }), hello).violations?.[0]?.message ?? '';
    expect(Array.from(message).length).toBeLessThan(300);
    expect(message).not.toMatch(/\n|\p{Surrogate}/u);
  });

  it('are refused if rendering them would never end', async () => {
    const endless = `{% for a in range(100000) %}${'{% for b in range(100000) %}{% endfor %}'}{% endfor %}`;
    const error = violation(await opened({ chat_template: endless }), hello);
    expect(error.violations?.[0]?.message).toMatch(/refuses these messages: it takes too (long|many steps)/);
  });

  it('are refused in the same way if the template itself fails', async () => {
    const error = violation(await opened({ chat_template: '{{ messages[5].content.strip() }}' }), hello);
    expect(error.code).toBe('INVALID_REQUEST');
  });
});
