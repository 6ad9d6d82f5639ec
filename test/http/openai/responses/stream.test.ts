/** The order and the content of the events of a stream of /v1/responses, for hand-made events of a job. */
import { describe, expect, test } from 'vitest';
import { ResponsesStreamEncoder } from '../../../../src/http/openai/responses/stream-encoder.ts';
import { END, ERROR, NARRATION, STARTED } from '../../../jobs/events.ts';
import { args, call, choiceEnd, eventsIn, FACTS, OPTIONS, reasoning, streamOf, text, typesOf } from './support.ts';

const TEXT_ITEM = [
  'response.output_item.added',
  'response.content_part.added',
  'response.output_text.delta',
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
];
const BEGIN = ['response.created', 'response.in_progress'];

const WHOLE = [
  STARTED,
  reasoning('The user'),
  reasoning(' asks.'),
  text('Let me look.'),
  call(0, 'abcdefghi', 'weather'),
  args(0, '{"city":'),
  args(0, '"Oslo"}'),
  call(1, 'jklmnopqr', 'time'),
  args(1, '{}'),
  choiceEnd({ toolCalls: 2, reasoningTokens: 3 }),
  { ...END, tokens_in: 10, tokens_out: 20, cached_tokens: 4 },
];

describe('an answer with reasoning, a text and two calls', () => {
  const events = streamOf(WHOLE);

  test('has its events in the order of the dialect', () => {
    expect(typesOf(events)).toEqual([
      ...BEGIN,
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      ...TEXT_ITEM,
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  });

  test('ends with the whole output, the usage and the settings', () => {
    expect(events.at(-1)?.['response']).toMatchObject({
      id: 'resp_0123',
      object: 'response',
      status: 'completed',
      completed_at: expect.any(Number),
      incomplete_details: null,
      error: null,
      model: 'haiku',
      output: [
        {
          id: 'rs_0123_0',
          type: 'reasoning',
          status: 'completed',
          summary: [],
          content: [{ type: 'reasoning_text', text: 'The user asks.' }],
        },
        {
          id: 'msg_0123_1',
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Let me look.', annotations: [], logprobs: [] }],
        },
        {
          id: 'fc_0123_2',
          type: 'function_call',
          status: 'completed',
          call_id: 'abcdefghi',
          name: 'weather',
          arguments: '{"city":"Oslo"}',
        },
        { id: 'fc_0123_3', type: 'function_call', call_id: 'jklmnopqr', name: 'time', arguments: '{}' },
      ],
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 20,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 30,
      },
      temperature: 1,
      tool_choice: 'auto',
      store: false,
    });
  });

  test('the items that `done` events report are those of the last event', () => {
    const done = events.filter(({ type }) => type === 'response.output_item.done');
    const last = events.at(-1)?.['response'] as { output: object[] };
    expect(done.map(({ item }) => item)).toEqual(last.output);
    expect(done.map((event) => event['output_index'])).toEqual([0, 1, 2, 3]);
  });

  test('a call begins with its name and without arguments', () => {
    const added = events.filter(({ type }) => type === 'response.output_item.added');
    expect(added[2]?.['item']).toEqual({
      id: 'fc_0123_2',
      type: 'function_call',
      status: 'in_progress',
      call_id: 'abcdefghi',
      name: 'weather',
      arguments: '',
    });
  });
});

test('a text after a call is an item of its own', () => {
  const last = streamOf([STARTED, call(0, 'abcdefghi', 'f'), args(0, '{}'), text('Done.'), choiceEnd(), END]).at(-1);
  expect(last?.['response']).toMatchObject({ output: [{ type: 'function_call' }, { type: 'message' }] });
});

test('an output at the maximum of tokens ends with response.incomplete, and so does its last item', () => {
  const events = streamOf([
    STARTED,
    text('The'),
    choiceEnd({ reason: 'max_tokens' }),
    { ...END, stop_reason: 'max_tokens' },
  ]);
  expect(typesOf(events)).toEqual([...BEGIN, ...TEXT_ITEM, 'response.incomplete']);
  expect(events.at(-2)?.['item']).toMatchObject({ status: 'incomplete' });
  expect(events.at(-1)?.['response']).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    completed_at: null,
    output: [{ status: 'incomplete', content: [{ text: 'The' }] }],
    usage: { total_tokens: 3 },
  });
});

test('an output without any text is one empty text', () => {
  const events = streamOf([STARTED, choiceEnd(), END]);
  expect(typesOf(events)).toEqual([
    ...BEGIN,
    ...TEXT_ITEM.filter((type) => type !== 'response.output_text.delta'),
    'response.completed',
  ]);
  expect(events.at(-1)?.['response']).toMatchObject({ output: [{ content: [{ type: 'output_text', text: '' }] }] });
});

describe('a failed job', () => {
  const events = streamOf([STARTED, text('The'), { ...ERROR, code: 'ENGINE_LOST', message: 'The engine was lost.' }]);

  test('ends with response.failed and then with error, which has both of its known forms', () => {
    expect(typesOf(events).slice(-2)).toEqual(['response.failed', 'error']);
    expect(events.at(-1)).toEqual({
      type: 'error',
      sequence_number: events.length - 1,
      code: 'engine_lost',
      message: 'The engine was lost.',
      param: null,
      error: { type: 'server_error', code: 'engine_lost', message: 'The engine was lost.', param: null },
    });
  });

  test('has the output so far as an incomplete item', () => {
    expect(events.at(-2)?.['response']).toMatchObject({
      status: 'failed',
      error: { code: 'engine_lost', message: 'The engine was lost.' },
      output: [{ status: 'incomplete', content: [{ text: 'The' }] }],
      usage: null,
    });
  });
});

test('log-probabilities are in the deltas, in the end of the text and in the item', () => {
  const scored = {
    id: 2,
    logprob: -0.5,
    top: [{ id: 3, logprob: -1 }],
    earlier: [{ id: 1, logprob: -2, top: [] }],
  };
  const events = streamOf([STARTED, text('x', scored), text('y', { id: 4, logprob: -3, top: [] }), choiceEnd(), END]);
  const all = [
    { token: ' t1', bytes: [32, 116, 1], logprob: -2, top_logprobs: [] },
    {
      token: ' t2',
      bytes: [32, 116, 2],
      logprob: -0.5,
      top_logprobs: [{ token: ' t3', bytes: [32, 116, 3], logprob: -1 }],
    },
    { token: ' t4', bytes: [32, 116, 4], logprob: -3, top_logprobs: [] },
  ];
  const of = (type: string) => events.filter((event) => event.type === type).map(({ logprobs }) => logprobs);
  expect(of('response.output_text.delta')).toEqual([all.slice(0, 2), all.slice(2)]);
  expect(of('response.output_text.done')).toEqual([all]);
  expect(events.at(-1)?.['response']).toMatchObject({ output: [{ content: [{ logprobs: all }] }] });
});

describe('narration', () => {
  const job = [
    STARTED,
    NARRATION,
    reasoning('Hm.'),
    NARRATION,
    text('The'),
    NARRATION,
    call(0, 'abcdefghi', 'f'),
    NARRATION,
    choiceEnd(),
    NARRATION,
    END,
  ];

  test('is absent unless the caller asks for it', () => {
    expect(streamOf(job).filter(({ narration }) => narration)).toEqual([]);
  });

  test('is a field of events that change nothing', () => {
    const carriers = streamOf(job, { narration: true }).filter(({ narration }) => narration);
    expect(typesOf(carriers)).toEqual([
      'response.in_progress',
      'response.reasoning_text.delta',
      'response.output_text.delta',
      'response.function_call_arguments.delta',
      'response.in_progress',
    ]);
    expect(carriers.slice(1, 4).map(({ delta }) => delta)).toEqual(['', '', '']);
    expect(carriers.map(({ narration }) => narration)).toEqual(
      carriers.map(() => ({ ...NARRATION, correlation_id: 'req-1' })),
    );
  });

  test('an event that repeats the response has all items so far', () => {
    const events = streamOf(job, { narration: true });
    expect(events.at(-2)?.['response']).toMatchObject({
      status: 'in_progress',
      output: [{ type: 'reasoning' }, { type: 'message' }, { type: 'function_call' }],
    });
  });
});

describe('the keep-alive text', () => {
  const textOf = (
    keepAlive: 'chunk' | 'comment' | 'off',
    ...job: Parameters<ResponsesStreamEncoder['encode']>[0][]
  ) => {
    const encoder = new ResponsesStreamEncoder(FACTS, { ...OPTIONS, keepAlive });
    for (const event of job) encoder.encode(event);
    const given = encoder.keepAlive;
    return typeof given === 'function' ? given() : given;
  };

  test('chunk: an event that changes nothing, with the number of the event before it', () => {
    expect(eventsIn(textOf('chunk', STARTED) ?? '')).toMatchObject([
      { type: 'response.in_progress', sequence_number: 1, response: { output: [] } },
    ]);
    expect(eventsIn(textOf('chunk', STARTED, text('The')) ?? '')).toMatchObject([
      { type: 'response.output_text.delta', sequence_number: 4, delta: '' },
    ]);
  });

  test('comment and off', () => {
    expect(textOf('comment', STARTED)).toBe(': keep-alive\n\n');
    expect(textOf('off', STARTED)).toBeUndefined();
  });
});
