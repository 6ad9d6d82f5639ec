/**
 * The fields of `POST /execute` and of its stream with which an output is continued from its ids, on another
 * worker for example.
 */
import { z } from 'zod';
import { objectWithNulls } from '../absent.ts';
import { counted } from '../schema.ts';

/** The end of the sentence "resume must be …". */
export const RESUME_RULE =
  '{token_ids: list of token ids, index: whole number, fingerprint: text}, as the earlier stream told them';
const ID_RULE = 'a token id: a whole number, at least 0';

/** Hex digits of a fingerprint. */
export const FINGERPRINT_CHARS = 32;

const IDS = 'Ids of the output so far, in order: those of all `ids`';
const INDEX =
  'Index of the next `token` event: one more than `i` of the last one that arrived, 0 before the first one. An id can ' +
  'complete several events: the stream goes on with the one that has this index';
const FINGERPRINT =
  'Digest of the weights, of the ids of the prompt, and of all parameters of the request that decide which ids are drawn ' +
  'and how their text is divided';

/** Data from which an output can be continued, as an event tells it. */
export const resumeFacts = () =>
  z
    .object({
      token_ids: z.array(counted('Id in the vocabulary')).meta({ description: IDS }),
      index: counted(INDEX),
      fingerprint: z.string().meta({ description: FINGERPRINT }),
    })
    .meta({ description: 'The value of `resume` for a request that continues this output on another worker' });
export type ResumeFacts = z.output<ReturnType<typeof resumeFacts>>;

export const fingerprintFact = () =>
  z.string().meta({ description: `With \`ids\` and with \`resume\`: \`fingerprint\` of \`resume\`. ${FINGERPRINT}` });

const isId = (id: unknown): boolean => Number.isSafeInteger(id) && Number(id) >= 0;

/** One rule for all ids: a list of a thousand wrong values has one violation, of its first one. */
const tokenIds = () =>
  z
    .array(z.unknown())
    .superRefine((ids, context) => {
      const wrong = ids.findIndex((id) => !isId(id));
      if (wrong < 0) return;
      context.addIssue({
        code: 'custom',
        path: [wrong],
        message: ID_RULE,
        params: { constraint: typeof ids[wrong] === 'number' ? 'minimum' : 'type', rule: ID_RULE },
      });
    })
    .meta({
      description: `${IDS}. At most \`max_tokens\`, without an end-of-sequence id`,
      items: { type: 'integer', minimum: 0 },
    }) as unknown as z.ZodType<readonly number[]>;

/** The fields of `resume`. */
const fields = () => ({
  token_ids: tokenIds(),
  index: z.int().min(0).meta({ description: INDEX }),
  fingerprint: z
    .string()
    .regex(/^[0-9A-Za-z]{1,64}$/)
    .meta({ description: `${FINGERPRINT}. The event \`started\` tells it with \`ids\`, and the event \`error\`` }),
});

/** Names of the fields of `resume`. */
export const RESUME_FIELDS: ReadonlySet<string> = new Set<keyof ReturnType<typeof fields>>([
  'token_ids',
  'index',
  'fingerprint',
]);

/** The fields of a request that tell and take ids. */
export const resumeFields = () => ({
  ids: z
    .boolean()
    .optional()
    .meta({
      description:
        'true: the `token` events tell the ids of their tokens, and `started` tells the `fingerprint`: all that `resume` needs. ' +
        'Default: false',
    }),
  resume: objectWithNulls(fields())
    .optional()
    .meta({
      description:
        'Continues an output whose stream broke, for example on another worker with the same model. The rest of the request ' +
        'must be the same, with the `seed` that `started` told, unless `temperature` is 0. The stream goes on with the event `index`; ' +
        'all counts are those of the whole output. docs/orchestrator.md explains it',
    }),
});
