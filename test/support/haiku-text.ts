/** The embedded model with its real tokenizer and chat template, and without an engine. */
import { fileURLToPath } from 'node:url';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { openText, usableTemplates } from '../../src/lifecycle/open-text.ts';
import { locateModel } from '../../src/model/locate.ts';
import { readSpec } from '../../src/model/spec.ts';
import { fakeModel } from './fakes.ts';

/** The thread of the built worker: a thread cannot load TypeScript. */
const THREAD = new URL('../../dist/text/thread/tokenizer-thread.js', import.meta.url);

export async function haikuText(): Promise<LoadedModel> {
  const files = await locateModel(fileURLToPath(new URL('../../models/haiku', import.meta.url)), 'auto', ['cpu']);
  const spec = await readSpec(files);
  const text = await openText(files, { tokens: spec.tokens, onThreadReplaced: () => undefined, threadEntry: THREAD });
  const model = fakeModel({ slots: 4, context: spec.contextLength });
  return { ...model, spec, tokenizer: text.tokenizer, templates: usableTemplates(text, spec.vocabSize) };
}
