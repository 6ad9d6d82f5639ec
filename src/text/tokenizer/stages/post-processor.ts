/**
 * The post-processor of a tokenizer.json for a single text: adds the tokenizer's special tokens around the
 * ids, such as a beginning-of-sequence token. Pure.
 */
import { z } from 'zod';

type PostProcessor = (ids: readonly number[]) => readonly number[];

const part = z.looseObject({ type: z.string() });
const token = z.tuple([z.string(), z.number()]);
const template = z.object({
  single: z.array(
    z.union([
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
      z.object({ Sequence: z.object({ id: z.string() }) }),
    ]),
  ),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.number()) })),
});

/** @throws Error for an unsupported post-processor, or for a template that names a token without ids. */
export function postProcessorOf(definition: unknown): PostProcessor {
  if (definition === null || definition === undefined) return (ids) => ids;
  const fields = part.parse(definition);
  switch (fields.type) {
    case 'ByteLevel': // changes offsets only
      return (ids) => ids;
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const { cls, sep } = z.object({ cls: token, sep: token }).parse(fields);
      return (ids) => [cls[1], ...ids, sep[1]];
    }
    case 'Sequence': {
      const steps = z
        .object({ processors: z.array(z.unknown()) })
        .parse(fields)
        .processors.map(postProcessorOf);
      return (ids) => steps.reduce((current, step) => step(current), ids);
    }
    case 'TemplateProcessing':
      return templateOf(template.parse(fields));
    default:
      throw new Error(`post_processor.type ${JSON.stringify(fields.type)} is not supported: use another model`);
  }
}

function templateOf({ single, special_tokens }: z.infer<typeof template>): PostProcessor {
  const slots = single.map((item) => {
    if ('Sequence' in item) return undefined;
    const ids = special_tokens[item.SpecialToken.id]?.ids;
    if (!ids)
      throw new Error(
        `post_processor.special_tokens lacks ${JSON.stringify(item.SpecialToken.id)}, which post_processor.single names`,
      );
    return ids;
  });
  return (ids) => slots.flatMap((special) => special ?? ids);
}
