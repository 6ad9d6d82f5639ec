/**
 * Sentences about the grammar of an output. The first two are request events; the thread of the compiler has a
 * lifecycle event.
 */
import { lifecycleEvent, requestEvent } from '../entry.ts';
import { count, formatMs } from '../phrases.ts';

export const GRAMMAR_EVENTS = {
  'grammar.compiled': requestEvent({
    actor: 'grammar-compiler',
    action: 'grammar_compile',
    level: 'INFO',
    when: 'the form that the request demands of its output has been compiled to a grammar, or is known from an earlier request',
    required: ['grammar_states', 'duration_ms', 'cached_grammar'],
    optional: ['without_effect'],
    human: (f) => {
      const ignored = f.without_effect === undefined ? '' : '; some keywords have no effect';
      if (f.cached_grammar === 'yes') return `Grammar with ${count(f.grammar_states, 'state')} is reused${ignored}`;
      return `Grammar with ${count(f.grammar_states, 'state')} was compiled in ${formatMs(f.duration_ms)}${ignored}`;
    },
    cute: (f) => `📐 The stencil is ready: ${count(f.grammar_states, 'little hole')} for the words to fit through!`,
  }),
  'grammar.incomplete': requestEvent({
    actor: 'inference-engine',
    action: 'grammar_incomplete',
    level: 'WARN',
    when: 'the output ended before it had the form that the request demands: max_tokens was reached, or a stop string',
    required: ['tokens_out', 'stop_reason'],
    human: (f) =>
      `${f.stop_reason === 'stop_sequence' ? 'Remove the stop string' : 'Raise max_tokens'}, or simplify the schema: the output ended after ${count(f.tokens_out, 'token')} and does not have the demanded form`,
    cute: () => '✂️ The page ended before the form was full. A longer page would help!',
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
