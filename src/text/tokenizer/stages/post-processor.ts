/**
 * The post-processor of a tokenizer.json for a single text: adds the tokenizer's special tokens around the
 * ids, such as a beginning-of-sequence token. Pure.
 */
import { z } from 'zod';

/** The special tokens around the ids of a text. */
export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** False if the post-processor drops the text. */
  readonly hasText: boolean;
}

/** Most special tokens that a post-processor may add. Real ones add at most three. */
export const MAX_ADDED_IDS = 1_024;

/** The place of the text's ids among the special tokens. */
const TEXT = Symbol('text');
type Item = number | typeof TEXT;
type Step = (items: readonly Item[]) => readonly Item[];

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

/**
 * The frame that a post-processor puts around every text.
 * @throws Error for an unsupported post-processor, for a template that names a token without ids, and for a
 *   post-processor that repeats the text or adds more than `MAX_ADDED_IDS`
 */
export function frameOf(definition: unknown): Frame {
  const items = stepOf(definition)([TEXT]);
  const at = items.indexOf(TEXT);
  const ids = (part: readonly Item[]): number[] => part.filter((item) => item !== TEXT);
  if (items.lastIndexOf(TEXT) !== at)
    throw new Error('post_processor repeats the ids of the text; they may occur once: use another model');
  if (at < 0) return { before: ids(items), after: [], hasText: false };
  return { before: ids(items.slice(0, at)), after: ids(items.slice(at)), hasText: true };
}

function stepOf(definition: unknown): Step {
  if (definition === null || definition === undefined) return (items) => items;
  const fields = part.parse(definition);
  switch (fields.type) {
    case 'ByteLevel': // changes offsets only
      return (items) => items;
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const { cls, sep } = z.object({ cls: token, sep: token }).parse(fields);
      return (items) => joined([[cls[1]], items, [sep[1]]]);
    }
    case 'Sequence': {
      const steps = z
        .object({ processors: z.array(z.unknown()) })
        .parse(fields)
        .processors.map(stepOf);
      return (items) => steps.reduce((current, step) => step(current), items);
    }
    case 'TemplateProcessing':
      return templateOf(template.parse(fields));
    default:
      throw new Error(`post_processor.type ${JSON.stringify(fields.type)} is not supported: use another model`);
  }
}

function templateOf({ single, special_tokens }: z.infer<typeof template>): Step {
  const slots = single.map((item) => {
    if ('Sequence' in item) return undefined;
    const ids = special_tokens[item.SpecialToken.id]?.ids;
    if (!ids)
      throw new Error(
        `post_processor.special_tokens lacks ${JSON.stringify(item.SpecialToken.id)}, which post_processor.single names`,
      );
    return ids;
  });
  return (items) => joined(slots.map((special) => special ?? items));
}

/** Measures the list before it is built. */
function joined(parts: readonly (readonly Item[])[]): readonly Item[] {
  const length = parts.reduce((sum, { length }) => sum + length, 0);
  if (length > MAX_ADDED_IDS)
    throw new Error(`post_processor adds ${length} ids; at most ${MAX_ADDED_IDS} are allowed: use another model`);
  return parts.flat();
}
