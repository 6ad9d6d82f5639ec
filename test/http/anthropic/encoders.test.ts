/** The stream and the document of the Messages API, from the events of a job. */

import { describe, expect, test } from 'vitest';
import type { EventBody } from '../../../src/contract/events.ts';
import { MessageDocument } from '../../../src/http/anthropic/message-document.ts';
import { MessageStream } from '../../../src/http/anthropic/message-stream.ts';
import type { ChoiceEndEvent, JobEvent } from '../../../src/jobs/job-events.ts';
import type { OutputPart } from '../../../src/text/output/parts.ts';
import { exactMessages } from '../../support/sse-form.ts';

const OPTIONS = { id: 'msg_1', requestId: 'req-1', model: 'haiku', narration: false };
const PROMPT: JobEvent = { type: 'prompt', prompt: 0, ids: [5, 6, 7, 8] };
const STARTED: JobEvent = {
  type: 'started',
  job_id: 'msg_1',
  run_id: 'run1',
  model: 'haiku',
  started_at: '2026-01-31T12:00:00.000Z',
  seed: 1,
  worker_id: 'w-1',
};
const NARRATION = {
  type: 'narration',
  event: 'request.validated',
  level: 'INFO',
  actor: 'a',
  action: 'b',
  target: 'msg_1',
  human: 'Worker accepted the job',
  worker_id: 'w-1',
} as EventBody<'narration'>;
const ERROR: JobEvent = { type: 'error', code: 'VRAM_OOM', message: 'No memory.', retriable: true, retry: 'elsewhere' };

/** The job itself has ended the engine each time. */
const CAUSE: JobEvent = {
  type: 'error',
  code: 'ENGINE_LOST',
  message: 'The engine was lost.',
  retriable: false,
  retry: 'never',
};

const part = (value: OutputPart): JobEvent => ({ type: 'token', t: '', i: 0, part: value });
const ending = (fields: Partial<ChoiceEndEvent> = {}): readonly JobEvent[] => {
  const end: ChoiceEndEvent = {
    type: 'choice_end',
    choice: 0,
    reason: 'eos',
    toolCalls: 0,
    tokensOut: 9,
    reasoningTokens: 2,
    ...fields,
  };
  return [
    end,
    {
      type: 'end',
      tokens_in: 4,
      tokens_out: 9,
      cached_tokens: 3,
      decode_time_ms: 1,
      time_to_first_token_ms: 1,
      queue_ms: 0,
      stop_reason: end.reason,
      seed: 1,
    },
  ];
};

const ALL_PARTS: readonly JobEvent[] = [
  part({ kind: 'reasoning', text: 'Let me ' }),
  part({ kind: 'reasoning', text: 'think.' }),
  part({ kind: 'content', text: 'I look ' }),
  part({ kind: 'content', text: 'it up.' }),
  part({ kind: 'call', index: 0, id: 'abc123def', name: 'weather' }),
  part({ kind: 'arguments', index: 0, text: '{"city":' }),
  part({ kind: 'arguments', index: 0, text: '"Paris"}' }),
  part({ kind: 'call', index: 1, id: 'ghi456jkl', name: 'time' }),
];
const CALLS_END = ending({ toolCalls: 2 });

type Event = Record<string, unknown> & { type: string };

/** The events of a stream. Every frame has a name, which is the type of its data. */
function streamed(events: readonly JobEvent[], options = OPTIONS): Event[] {
  const stream = new MessageStream(options, 'chunk');
  const text = events.map((event) => stream.encode(event) ?? '').join('');
  return exactMessages(text).map(({ event: name, data }) => {
    const event = JSON.parse(data) as Event;
    expect(event.type).toBe(name);
    return event;
  });
}

function document(events: readonly JobEvent[], options = OPTIONS): { status: number; body: Event } {
  const encoder = new MessageDocument(options);
  const texts = events.map((event) => encoder.encode(event));
  expect(texts.slice(0, -1).filter((text) => text !== undefined)).toEqual([]);
  return { status: encoder.status, body: JSON.parse(texts.at(-1) ?? '') as Event };
}

describe('a stream', () => {
  test('has a block for the reasoning, the text and each call, one after the other', () => {
    const events = streamed([STARTED, PROMPT, ...ALL_PARTS, ...CALLS_END]);
    const delta = (index: number, value: object) => ({ type: 'content_block_delta', index, delta: value });
    const start = (index: number, content_block: object) => ({ type: 'content_block_start', index, content_block });
    const stop = (index: number) => ({ type: 'content_block_stop', index });
    expect(events).toEqual([
      {
        type: 'message_start',
        message: {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          model: 'haiku',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: 4,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 0,
          },
        },
      },
      start(0, { type: 'thinking', thinking: '', signature: '' }),
      delta(0, { type: 'thinking_delta', thinking: 'Let me ' }),
      delta(0, { type: 'thinking_delta', thinking: 'think.' }),
      delta(0, { type: 'signature_delta', signature: '' }),
      stop(0),
      start(1, { type: 'text', text: '' }),
      delta(1, { type: 'text_delta', text: 'I look ' }),
      delta(1, { type: 'text_delta', text: 'it up.' }),
      stop(1),
      start(2, { type: 'tool_use', id: 'abc123def', name: 'weather', input: {} }),
      delta(2, { type: 'input_json_delta', partial_json: '{"city":' }),
      delta(2, { type: 'input_json_delta', partial_json: '"Paris"}' }),
      stop(2),
      start(3, { type: 'tool_use', id: 'ghi456jkl', name: 'time', input: {} }),
      stop(3),
      {
        type: 'message_delta',
        delta: { stop_reason: 'tool_use', stop_sequence: null },
        usage: {
          input_tokens: 1,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 3,
          output_tokens: 9,
        },
      },
      { type: 'message_stop' },
    ]);
  });

  test('without any text has no block', () => {
    const types = streamed([STARTED, PROMPT, ...ending()]).map(({ type }) => type);
    expect(types).toEqual(['message_start', 'message_delta', 'message_stop']);
  });

  test('carries the narration in pings after message_start, if the caller asks for it', () => {
    const events = [STARTED, NARRATION, PROMPT, NARRATION, ...ending()];
    expect(streamed(events).some(({ type }) => type === 'ping')).toBe(false);
    const [first, ...rest] = streamed(events, { ...OPTIONS, narration: true });
    expect(first?.type).toBe('message_start');
    const ping = { type: 'ping', narration: { ...NARRATION, correlation_id: 'req-1' } };
    expect(rest.slice(0, 2)).toEqual([ping, ping]);
  });

  test('ends with the error of the job', () => {
    const events = streamed([STARTED, PROMPT, part({ kind: 'content', text: 'a' }), ERROR]);
    expect(events.at(-1)).toEqual({
      type: 'error',
      error: { type: 'overloaded_error', message: 'No memory.' },
      request_id: 'req-1',
    });
  });

  test('has an error that clients do not retry if the job itself ended the engine', () => {
    const error = streamed([STARTED, PROMPT, CAUSE]).at(-1);
    expect(error).toMatchObject({ type: 'error', error: { type: 'api_error', message: 'The engine was lost.' } });
    const other: JobEvent = { ...CAUSE, retriable: true, retry: 'elsewhere' };
    expect(streamed([STARTED, PROMPT, other]).at(-1)).toMatchObject({ error: { type: 'overloaded_error' } });
  });

  test.each([
    ['chunk', 'event: ping\ndata: {"type":"ping"}\n\n'],
    ['comment', ': keep-alive\n\n'],
    ['off', undefined],
  ] as const)('is kept alive in the mode %s', (mode, text) => {
    expect(new MessageStream(OPTIONS, mode).keepAlive).toBe(text);
  });

  test('sends nothing for events that the dialect lacks', () => {
    const stream = new MessageStream(OPTIONS, 'off');
    const metrics = { type: 'metrics' } as EventBody<'metrics'>;
    expect([metrics, STARTED].map((event) => stream.encode(event))).toEqual([undefined, undefined]);
  });
});

describe('a document', () => {
  test('has a block for the reasoning, the text and each call', () => {
    const { status, body } = document([STARTED, PROMPT, ...ALL_PARTS, ...CALLS_END]);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'haiku',
        content: [
          { type: 'thinking', thinking: 'Let me think.', signature: '' },
          { type: 'text', text: 'I look it up.' },
          { type: 'tool_use', id: 'abc123def', name: 'weather', input: { city: 'Paris' } },
          { type: 'tool_use', id: 'ghi456jkl', name: 'time', input: {} },
        ],
        stop_reason: 'tool_use',
        stop_sequence: null,
        usage: {
          input_tokens: 1,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 3,
          output_tokens: 9,
        },
      },
    });
  });

  test.each(['{"city":"Par', '[1]', '"a"', 'null'])('keeps arguments that are no JSON object: %s', (text) => {
    const call = [
      part({ kind: 'call', index: 0, id: 'a', name: 'weather' }),
      part({ kind: 'arguments', index: 0, text }),
    ];
    const { body } = document([STARTED, ...call, ...ending({ toolCalls: 1, reason: 'max_tokens' })]);
    expect(body['content']).toEqual([{ type: 'tool_use', id: 'a', name: 'weather', input: { INVALID_JSON: text } }]);
    expect(body['stop_reason']).toBe('max_tokens');
  });

  test('has the narration if the caller asks for it, and the error of a failed job with its status', () => {
    const options = { ...OPTIONS, narration: true };
    const narration = [{ ...NARRATION, correlation_id: 'req-1' }];
    expect(document([STARTED, NARRATION, ...ending()], options).body['narration']).toEqual(narration);
    expect(document([STARTED, NARRATION, ERROR], options)).toEqual({
      status: 503,
      body: {
        type: 'error',
        error: { type: 'overloaded_error', message: 'No memory.' },
        request_id: 'req-1',
        narration,
      },
    });
  });

  test('of a job that itself ended the engine is 500, and not 503', () => {
    const { status, body } = document([STARTED, CAUSE]);
    expect([status, body['error']]).toEqual([500, { type: 'api_error', message: 'The engine was lost.' }]);
  });
});

describe.each([
  ['end_turn', null, {}],
  ['max_tokens', null, { reason: 'max_tokens', toolCalls: 1 }],
  ['stop_sequence', '\n', { reason: 'stop_sequence', matched: '\n' }],
  ['tool_use', null, { toolCalls: 1 }],
] as const)('the stop reason %s', (reason, sequence, fields) => {
  const events = [STARTED, PROMPT, ...ending(fields)];

  test('is the same in both forms', () => {
    const expected = { stop_reason: reason, stop_sequence: sequence };
    expect(document(events).body).toMatchObject(expected);
    expect(streamed(events).at(-2)).toMatchObject({ type: 'message_delta', delta: expected });
  });
});
