/** The fields of a tokenizer.json. Pure. */
import { z } from 'zod';
import { type AddedToken, addedToken } from './added-tokens.ts';

export const definitionFields = z.object({
  added_tokens: z.array(addedToken).nullish(),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.looseObject({ type: z.string().optional() }),
});
export type Definition = z.infer<typeof definitionFields>;

/** The definition with more added tokens. A token replaces the one of the same text. */
export function withAddedTokens(definition: Definition, added: readonly AddedToken[]): Definition {
  if (added.length === 0) return definition;
  const texts = new Set(added.map(({ content }) => content));
  const kept = definition.added_tokens?.filter(({ content }) => !texts.has(content)) ?? [];
  return { ...definition, added_tokens: [...kept, ...added] };
}
