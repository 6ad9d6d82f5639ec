/** The fields of a tokenizer.json. Pure. */
import { z } from 'zod';
import { addedToken } from './added-tokens.ts';

export const definitionFields = z.object({
  added_tokens: z.array(addedToken).nullish(),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.looseObject({ type: z.string().optional() }),
});
export type Definition = z.infer<typeof definitionFields>;
