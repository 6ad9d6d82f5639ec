/**
 * Sentences about the text part of a model: chat templates, tokenizer and the compiler of grammars. Lifecycle
 * events: they go to stdout only.
 */
import { shorten } from '../../protocol/text/error-message.ts';
import { lifecycleEvent } from '../entry.ts';

export const TEXT_EVENTS = {
  'template.profiled': lifecycleEvent({
    actor: 'model-loader',
    action: 'template_profile',
    level: 'INFO',
    when: 'the worker has derived the forms of tool calls and reasoning from the default chat template',
    required: ['model_ref', 'tool_format', 'parallel_calls', 'reasoning'],
    optional: ['reasoning_open'],
    target: (f) => f.model_ref,
    human: (f) =>
      `Chat template has tool calls in ${f.tool_format} form${f.parallel_calls === 'yes' ? ', several at once' : ''}; reasoning: ${f.reasoning}`,
    cute: () => '🔎 We read the template between the lines. Now we know how this model talks!',
  }),
  'template.unusable': lifecycleEvent({
    actor: 'model-loader',
    action: 'template_check',
    level: (f) => (f.template === undefined ? 'WARN' : 'INFO'),
    when: 'a chat template of the model cannot be read or parsed, does not render one plain message, or needs a token that the model lacks; requests that need it get TEMPLATE_UNUSABLE, and prompts with raw: true work. INFO for a template that only requests use which name it',
    required: ['file', 'reason'],
    optional: ['template'],
    target: (f) => f.file,
    human: (f) =>
      f.template === undefined
        ? `Repair the chat template in ${f.file}, or send prompts with raw: true: ${f.reason}`
        : `Chat template ${shorten(f.template ?? '', 16)} in ${shorten(f.file, 28)} cannot be used: ${f.reason}`,
    cute: () => '📜 This chat template has a knot. Raw prompts still slip through nicely!',
  }),
  'template.ambiguous': lifecycleEvent({
    actor: 'model-loader',
    action: 'template_check',
    level: 'WARN',
    when: 'the model has several chat templates and none is named default: a request without raw: true must choose one by its field template',
    required: ['templates'],
    target: () => 'chat templates',
    human: (f) => `Choose a chat template by the request field template, because none is the default: ${f.templates}`,
    cute: () => '🎭 So many costumes and no favourite: please pick one for every scene!',
  }),
  'tokenizer.replaced': lifecycleEvent({
    actor: 'tokenizer',
    action: 'tokenizer_replace',
    level: 'WARN',
    when: 'the thread of the tokenizer was ended because one text took too long or too much memory, or it was lost',
    required: ['reason'],
    target: () => 'tokenizer',
    human: (f) => `Tokenizer thread is replaced: ${f.reason}`,
    cute: () => '🧵 That text tied our thread in knots. We take a fresh one!',
  }),
  'grammar.thread_replaced': lifecycleEvent({
    actor: 'grammar-compiler',
    action: 'grammar_thread_replace',
    level: 'WARN',
    when: 'the thread that compiles large grammars was ended because a schema took too long or too much memory, or it was lost',
    required: ['reason'],
    target: () => 'grammar-compiler',
    human: (f) => `Thread of the grammar compiler is replaced: ${f.reason}`,
    cute: () => '🪢 That schema tied our thread in knots. We take a fresh one!',
  }),
} as const;
