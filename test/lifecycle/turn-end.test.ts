/** The token that ends an answer, in templates of several families. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { turnEndOf } from '../../src/lifecycle/turn-end.ts';
import { ChatTemplate } from '../../src/text/template/chat-template.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
const texts = ['<|im_start|>', '<|im_end|>', '<|eot_id|>', '<|start_header_id|>', '<|end_header_id|>', '<end_of_turn>'];
let tokenizer: Tokenizer;
beforeAll(async () => {
  const special = texts.map((content, at) => ({ ...flags, id: 2_000 + at, content, special: true }));
  const plain = { ...flags, id: 3_000, content: '<plain>', special: false };
  tokenizer = await Tokenizer.open(haikuFiles, { addedTokens: [...special, plain] });
});
afterAll(() => tokenizer.close());

const LOOP = '{% for m in messages %}';
const CHATML = (end: string): string =>
  `${LOOP}{{ '<|im_start|>' + m.role + '\\n' + m.content + '${end}' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

test.each([
  ['ChatML', CHATML('<|im_end|>\\n'), '<|im_end|>'],
  [
    'Llama 3, which trims',
    `${LOOP}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}`,
    '<|eot_id|>',
  ],
  ['Gemma', `${LOOP}{{ m.role + '\\n' + (m.content | trim) + '<end_of_turn>\\n' }}{% endfor %}`, '<end_of_turn>'],
  ['Llama 2, with a space', `${LOOP}{{ '[INST] ' + m.content + ' ' + eos_token }}{% endfor %}`, '<|end|>'],
  ['ChatML without an end', CHATML(''), undefined],
  ['ChatML with a line end only', `${CHATML('\\n')}{{ '<|im_start|>assistant' }}`, undefined],
  ['an ordinary text', `${LOOP}{{ m.content + '\\n### End' }}{% endfor %}`, undefined],
  ['an added token that is not special', CHATML('<plain>'), undefined],
  ['an unknown token, then a special one', CHATML('</s><|im_end|>'), undefined],
  [
    'a template that needs the thread',
    `{% for i in range(15000) %}{{ i }}{% endfor %}${CHATML('<|im_end|>')}`,
    undefined,
  ],
  ['a template that refuses the messages', "{{ raise_exception('no') }}", undefined],
  ['a template without the answer', '{{ messages[0].content }}<|im_end|>', undefined],
])('%s', async (_, text, end) => {
  const template = new ChatTemplate({
    name: 'default',
    file: 'chat_template.jinja',
    text,
    tokens: { eos_token: '<|end|>' },
  });
  const found = await turnEndOf(template, tokenizer);
  expect(found?.text).toBe(end);
  if (found) expect(tokenizer.specialText(found.id)).toBe(end);
});
