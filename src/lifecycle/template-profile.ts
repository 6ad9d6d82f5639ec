/**
 * Ends the load of a model: derives the forms of reasoning and tool calls from the default chat template,
 * narrates them, and gives the memory of the load back.
 */
import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import { narrate } from '../narration/narrate.ts';
import { collectGarbage } from '../protocol/host/javascript-heap.ts';
import { describeProfile, type ProfileFacts } from '../text/tools/output-profile.ts';
import { profileOf } from '../text/tools/profile.ts';
import type { LoadedModel } from './load-model.ts';

/**
 * The work of a load that no request waits for: the profile, and the vocabulary of grammars. Collects the
 * garbage of the load when the vocabulary is prepared.
 * @param receive gets the vocabulary
 */
export function finishLoad(model: LoadedModel, receive: (data: VocabularyData) => void): LoadedModel {
  model.vocabulary.prepare((data) => {
    receive(data);
    collectGarbage();
  });
  return { ...model, profile: profileModel(model) };
}

/**
 * The facts of the default template; undefined for a model without one. The first call takes about 10 ms of
 * the event loop, so it is made before the first request needs the profile.
 */
function profileModel({ templates, spec }: Pick<LoadedModel, 'templates' | 'spec'>): ProfileFacts | undefined {
  const template = templates.fallback?.template;
  if (!template) return undefined;
  const facts = describeProfile(profileOf(template));
  const { tools: tool_format, parallel, reasoning, reasoning_open } = facts;
  narrate('template.profiled', {
    model_ref: spec.name,
    tool_format,
    parallel_calls: parallel ? 'yes' : 'no',
    reasoning,
    reasoning_open,
  });
  return facts;
}
