/** The events of a stream of `POST /v1/responses`: those of OpenAI, and no other. */
import { z } from 'zod';
import { EVENTS as NATIVE } from '../../events.ts';
import { counted, named } from '../../schema.ts';
import { OutputItem, OutputText, ReasoningText, ResponsesAnswer, ResponsesLogprob } from './answer.ts';

const text = (description: string) => z.string().meta({ description });

/** An event with these fields, and with those that all events have. */
const event = <N extends string, F extends z.ZodRawShape>(id: string, type: N, description: string, fields: F) =>
  named(
    id,
    z
      .object({
        type: z.literal(type).meta({ description: 'Same as the `event:` line' }),
        sequence_number: counted(
          '0, 1, 2, … without a gap. An event that only keeps the stream open repeats the last number',
        ),
        ...fields,
        narration: NATIVE.narration
          .optional()
          .meta({ description: 'Only on request: a step of the worker. Not a field of OpenAI' }),
      })
      .meta({ description }),
  );

const answer = { response: ResponsesAnswer };
const item = { output_index: counted('Index of the item in `output`') };
const within = { ...item, item_id: text('Id of the item') };
const part = { ...within, content_index: counted('Index of the part in the content of the item: always 0') };
const anyPart = { part: z.discriminatedUnion('type', [OutputText, ReasoningText]).meta({ description: 'The part' }) };
const logprobs = {
  logprobs: z.array(ResponsesLogprob).meta({ description: 'Empty unless the request asks for log-probabilities' }),
};
const delta = {
  delta: text('The next piece; empty in an event that only carries a narration or keeps the stream open'),
};
const errorFields = {
  code: text('Stable name of the error'),
  message: text('The error as a sentence'),
  param: z.null().meta({ description: 'Always null' }),
};

/** Every event by its name. */
export const RESPONSES_EVENTS = {
  'response.created': event(
    'ResponsesCreated',
    'response.created',
    'The first event of every accepted request',
    answer,
  ),
  'response.in_progress': event(
    'ResponsesInProgress',
    'response.in_progress',
    'The second event. Repeated to carry a narration, and to keep a quiet stream open, while no item is open',
    answer,
  ),
  'response.output_item.added': event('ResponsesItemAdded', 'response.output_item.added', 'An item begins', {
    ...item,
    item: OutputItem,
  }),
  'response.output_item.done': event('ResponsesItemDone', 'response.output_item.done', 'An item ends', {
    ...item,
    item: OutputItem,
  }),
  'response.content_part.added': event(
    'ResponsesPartAdded',
    'response.content_part.added',
    'A part of an item begins',
    {
      ...part,
      ...anyPart,
    },
  ),
  'response.content_part.done': event('ResponsesPartDone', 'response.content_part.done', 'A part of an item ends', {
    ...part,
    ...anyPart,
  }),
  'response.output_text.delta': event('ResponsesTextDelta', 'response.output_text.delta', 'A piece of a text', {
    ...part,
    ...delta,
    ...logprobs,
  }),
  'response.output_text.done': event('ResponsesTextDone', 'response.output_text.done', 'A text is complete', {
    ...part,
    text: text('The whole text'),
    ...logprobs,
  }),
  'response.reasoning_text.delta': event(
    'ResponsesReasoningDelta',
    'response.reasoning_text.delta',
    'A piece of the reasoning',
    { ...part, ...delta },
  ),
  'response.reasoning_text.done': event(
    'ResponsesReasoningDone',
    'response.reasoning_text.done',
    'The reasoning is complete',
    { ...part, text: text('The whole reasoning') },
  ),
  'response.function_call_arguments.delta': event(
    'ResponsesArgumentsDelta',
    'response.function_call_arguments.delta',
    'A piece of the arguments of a call',
    { ...within, ...delta },
  ),
  'response.function_call_arguments.done': event(
    'ResponsesArgumentsDone',
    'response.function_call_arguments.done',
    'The arguments of a call are complete',
    { ...within, name: text('Name of the function'), arguments: text('The whole arguments') },
  ),
  'response.completed': event(
    'ResponsesCompleted',
    'response.completed',
    'The output is complete. The last event',
    answer,
  ),
  'response.incomplete': event(
    'ResponsesIncomplete',
    'response.incomplete',
    'The output has the maximum number of tokens. The last event',
    answer,
  ),
  'response.failed': event('ResponsesFailed', 'response.failed', 'The job failed. The event `error` follows', answer),
  error: event(
    'ResponsesError',
    'error',
    'The last event after `response.failed`: some clients raise only for this one',
    {
      ...errorFields,
      error: z
        .object({ ...errorFields, type: text('Class of the error') })
        .meta({ description: 'The same in the form of an error before a stream: clients read either' }),
    },
  ),
} as const;

export type ResponsesEventType = keyof typeof RESPONSES_EVENTS;
/** The fields of an event besides those that all events have. */
export type ResponsesEventFields<T extends ResponsesEventType> = Omit<
  z.output<(typeof RESPONSES_EVENTS)[T]>,
  'type' | 'sequence_number' | 'narration'
>;
