/**
 * Derives the forms of reasoning and tool calls from the model's default chat template, and narrates them.
 */
import { narrate } from '../narration/narrate.ts';
import { describeProfile, type ProfileFacts } from '../text/tools/output-profile.ts';
import { profileOf } from '../text/tools/profile.ts';
import type { LoadedModel } from './load-model.ts';

/**
 * The facts of the default template; undefined for a model without one. The first call takes about 10 ms of
 * the event loop, so it is made before the first request needs the profile.
 */
export function profileModel({ templates, spec }: Pick<LoadedModel, 'templates' | 'spec'>): ProfileFacts | undefined {
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
