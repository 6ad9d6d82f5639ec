import { describe, expect, it } from 'vitest';
import { WorkerError } from '../../../src/contract/errors.ts';
import { AUTO_PROMPT_CHARS } from '../../../src/contract/execute.ts';
import { readTemplates } from '../../../src/model/template-source.ts';
import { ChatTemplate } from '../../../src/text/template/chat-template.ts';
import { MAX_RENDER, RenderBudgetError } from '../../../src/text/template/render-limits.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { haikuFiles } from '../tokenizer/small-tokenizers.ts';

const opened = (text: string, tokens: Record<string, string> = {}): ChatTemplate =>
  new ChatTemplate({ name: 'default', file: 'chat_template.jinja', text, tokens });

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

it('the longest prompt of --max-prompt-chars auto is rendered', () => {
  const content = 'x'.repeat(AUTO_PROMPT_CHARS.most);
  const template = opened('{% for m in messages %}{{ "<" + m.content + ">" }}{% endfor %}');
  expect(template.render([{ role: 'user', content }]).length).toBe(content.length + 2);
});

describe('the template', () => {
  it('of the embedded model gives ids with its special tokens, ready for the assistant', async () => {
    const [template] = await readTemplates(haikuFiles);
    const source = { file: '', name: 'default', text: template?.text ?? '', tokens: { bos_token: '<|bos|>' } };
    const prompt = new ChatTemplate(source).render([{ role: 'user', content: 'the sea' }]);
    expect(prompt).toBe('<|bos|><|user|>the sea<|end|><|assistant|>');
    const tokenizer = await Tokenizer.open(haikuFiles);
    const ids = await tokenizer.encode(prompt, { addSpecialTokens: false });
    expect([ids.slice(0, 2), ids.slice(-2)]).toEqual([
      [0, 1],
      [3, 2],
    ]);
  });

  it('sees its special tokens, the generation prompt, and no tools', () => {
    const text = '{{ bos_token }}{{ pad_token is defined }}{{ add_generation_prompt }}{{ tools is none }}';
    expect(opened(text, { bos_token: '<s>' }).render(hello)).toBe('<s>FalseTrueTrue');
  });

  it('that cannot be parsed is refused when it is opened, by the name of its file', () => {
    for (const text of ['{% for %}', '{{ a']) expect(() => opened(text)).toThrow(/chat_template\.jinja/);
  });
});

describe('messages that the template refuses', () => {
  it("are an invalid request with the template's reason on the field messages", () => {
    const error = violation(opened(refusing), [...hello, { role: 'user', content: 'again' }]);
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

  it('are not quoted', () => {
    const error = violation(opened(refusing), [...hello, { role: 'user', content: 'a secret of the user' }]);
    expect(error.violations?.[0]?.message).toBe("The model's chat template refuses these messages.");
  });

  it('get a short reason in one line, whatever the template says', () => {
    const long = `{{ raise_exception('${'😀\\n'.repeat(500)}') }}`;
    const message = violation(opened(long), hello).violations?.[0]?.message ?? '';
    expect(Array.from(message).length).toBeLessThan(300);
    expect(message).not.toMatch(/\n|\p{Surrogate}/u);
  });

  it('are refused when rendering them would never end', () => {
    const endless = `{% for a in range(100000) %}${'{% for b in range(100000) %}{% endfor %}'}{% endfor %}`;
    const error = violation(opened(endless), hello);
    expect(error.violations?.[0]?.message).toMatch(/refuses these messages: rendering takes (longer|more) than/);
  });

  it('are not refused when only the limits of the caller are reached', () => {
    const template = opened("{% for i in range(100) %}{{ 'a' ~ i }}{% endfor %}");
    expect(() => template.render(hello, { ...MAX_RENDER, steps: 50 })).toThrow(RenderBudgetError);
    expect(template.render(hello).length).toBeGreaterThan(200);
  });

  it('are refused the same way when the template fails by itself', () => {
    const error = violation(opened('{{ messages[5].content.strip() }}'), hello);
    expect(error.code).toBe('INVALID_REQUEST');
  });

  it('may have as many characters as a request accepts', () => {
    const template = opened("{% for m in messages %}{{ '<|' + m.role + '|>' + m.content | trim ~ '\\n' }}{% endfor %}");
    const content = 'the sea '.repeat(AUTO_PROMPT_CHARS.most / 8);
    expect(template.render([{ role: 'user', content }])).toBe(`<|user|>${content.trim()}\n`);
  });
});
