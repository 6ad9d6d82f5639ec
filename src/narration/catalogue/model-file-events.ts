/**
 * Sentences about files of a model that can be used, but need a correction. Lifecycle events: they go to
 * stdout only. A file that cannot be used is a `model.problem`.
 */
import { lifecycleEvent } from '../entry.ts';
import { count } from '../phrases.ts';

const FILES = { actor: 'model-loader', action: 'warning', level: 'WARN' } as const;

export const MODEL_FILE_EVENTS = {
  'model.field_ignored': lifecycleEvent({
    ...FILES,
    when: 'a sampling default of the model is out of range; the worker uses the value that changes nothing',
    required: ['model_ref', 'file', 'field', 'value', 'reason'],
    target: (f) => f.file,
    human: (f) => `Correct ${f.field} in ${f.file}: ${f.value} is ignored; ${f.reason}`,
    cute: (f) => `🧂 ${f.value} of ${f.field}? We season to our own taste for now!`,
  }),
  'model.tokens_differ': lifecycleEvent({
    ...FILES,
    when: 'files of the model contradict each other about tokens; the details name the files, and the value that is used',
    required: ['model_ref', 'files', 'differences', 'details'],
    target: (f) => f.model_ref,
    human: (f) =>
      `Make ${f.files} agree about tokens, or use one export of the model. ${count(f.differences, 'difference')}: ${f.details}`,
    cute: () => '🗣️ Two files tell two tales about one token. We picked the better storyteller!',
  }),
  'model.no_end': lifecycleEvent({
    ...FILES,
    when: 'no file of the model names an end-of-sequence token; outputs end at the special token that ends an answer in the chat template, if there is one',
    required: ['model_ref'],
    optional: ['end_token', 'end_id'],
    target: (f) => f.model_ref,
    human: (f) =>
      f.end_id === undefined
        ? 'Add eos_token_id to generation_config.json: no file names an end, so outputs run to max_tokens'
        : `Add "eos_token_id": ${f.end_id} to generation_config.json; the template's ${f.end_token} ends outputs`,
    cute: () => '🏁 No finish line on the map, so we look for one on the road!',
  }),
} as const;
