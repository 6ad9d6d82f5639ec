/**
 * Requests to the routes of the dialects, from a seed: small valid requests of every form, and bodies with one
 * or more hostile values in any place.
 */
import fc from 'fast-check';

/** Begins every text that a prompt is made of. No error and no log line may have it. */
export const PRIVATE = 'Qz7private';

/** Routes with a body. */
export const POSTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/tokenize',
  '/detokenize',
] as const;
export type PostPath = (typeof POSTS)[number];
const GETS = ['/v1/models', '/v1/models/haiku', '/v1/models/a/b%2f', '/v1/models/', '/tokenizer_info'];

/** A request of a dialect. */
export interface DialectRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Lines of the head besides those that every request has. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** True if the body asks for the narration. */
  readonly narrates: boolean;
  /** Hostile values in the body. 0: the request is valid. */
  readonly faults: number;
}

const text = fc.string({ unit: 'grapheme', maxLength: 8 }).map((more) => `${PRIVATE} ${more}`);
const small = fc.integer({ min: 1, max: 4 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const some = <T>(fields: { [N in keyof T]: fc.Arbitrary<T[N]> }, required: (keyof T)[]) =>
  fc.record<T>(fields, { requiredKeys: required as never });

const sampling = {
  temperature: fc.double({ min: 0, max: 2, noNaN: true }),
  top_p: fc.double({ min: 0.1, max: 1, noNaN: true }),
  top_k: fc.integer({ min: -1, max: 50 }),
  seed: fc.integer(),
  stream: fc.boolean(),
  narration: fc.boolean(),
  model: fc.constantFrom('gpt-4o', 'haiku'),
  metadata: fc.constant({ a: 'b' }),
  // A deadline in the middle of an answer ends it with an error.
  timeout_ms: fc.constantFrom(60_000, 60_000, 1, 10),
};
const schema = { type: 'object', properties: { a: { type: 'string' } } };
const named = { name: 'look_up', description: PRIVATE };
const message = fc.record({ role: fc.constantFrom('user', 'assistant'), content: text });
const chat = some(
  {
    messages: fc.array(message, { minLength: 1, maxLength: 2 }),
    max_tokens: small,
    n: fc.integer({ min: 1, max: 3 }),
    logprobs: fc.constant(true),
    stop: fc.constantFrom('zz', ['zz', 'yy']),
    stream_options: fc.record({ include_usage: fc.boolean(), continuous_usage_stats: fc.boolean() }),
    tools: fc.constant([{ type: 'function', function: { ...named, parameters: schema } }]),
    parallel_tool_calls: fc.boolean(),
    logit_bias: fc.constant({ 5: -100 }),
    ...sampling,
  },
  ['messages', 'max_tokens'],
);
const completion = some(
  {
    prompt: fc.oneof(
      text,
      fc.array(text, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 4 }),
    ),
    max_tokens: small,
    n: fc.integer({ min: 1, max: 2 }),
    echo: fc.boolean(),
    logprobs: fc.integer({ min: 0, max: 3 }),
    ...sampling,
  },
  ['prompt', 'max_tokens'],
);
const response = some(
  {
    input: fc.oneof(text, fc.array(message, { minLength: 1, maxLength: 2 })),
    instructions: text,
    max_output_tokens: small,
    tools: fc.constant([{ type: 'function', ...named, parameters: schema }, { type: 'web_search' }]),
    reasoning: fc.constant({ effort: 'low' }),
    include: fc.constant(['message.output_text.logprobs']),
    top_logprobs: fc.integer({ min: 0, max: 2 }),
    ...sampling,
  },
  ['input', 'max_output_tokens'],
);
const conversation = {
  messages: text.map((content) => [{ role: 'user', content }]),
  system: text,
  tools: fc.constant([{ ...named, input_schema: schema }]),
  tool_choice: fc.constantFrom({ type: 'auto' }, { type: 'none' }),
};
const messages = some({ ...conversation, max_tokens: small, stop_sequences: fc.constant(['zz']), ...sampling }, [
  'messages',
  'max_tokens',
]);
const count = some(conversation, ['messages']);
const tokenize = fc.oneof(
  some({ prompt: text, add_special_tokens: fc.boolean(), return_token_strs: fc.boolean() }, ['prompt']),
  some({ messages: fc.array(message, { minLength: 1, maxLength: 2 }) }, ['messages']),
);
const detokenize = fc.record({ tokens: fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 5 }) });

const VALID: Readonly<Record<PostPath, fc.Arbitrary<object>>> = {
  '/v1/chat/completions': chat,
  '/v1/completions': completion,
  '/v1/responses': response,
  '/v1/messages': messages,
  '/v1/messages/count_tokens': count,
  '/tokenize': tokenize,
  '/detokenize': detokenize,
};

/** Fields that no valid request above has: most contradict others, or ask for something unsupported. */
const RARE = [
  'best_of',
  'max_completion_tokens',
  'top_logprobs',
  'tool_choice',
  'response_format',
  'guided_json',
  'guided_choice',
  'structured_outputs',
  'chat_template_kwargs',
  'previous_response_id',
  'conversation',
  'background',
  'truncation',
  'text',
  'thinking',
  'output_config',
  'template',
  'timeout_ms',
  'modalities',
  'stop',
  'prompt',
  'messages',
  'add_generation_prompt',
  'min_tokens',
  'constructor',
  'toString',
];

const nested = (levels: number): unknown => Array.from({ length: levels }).reduce((inner) => [inner], 1);
/** Values that are wrong in most places. */
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    0,
    -1,
    1.5,
    -0,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    -(2 ** 63),
    1e308,
    Number.MIN_VALUE,
    '\ud800',
    '__proto__',
    'constructor',
    [],
    {},
    [null],
    [[]],
    [[1], ['a']],
    nested(12),
    nested(40),
    Array(300).fill(1),
    Array(300).fill({}),
    Array(3000).fill('a'),
    'x'.repeat(70_000),
    [2 ** 31],
    [1e6],
    [-1],
    { type: 'function' },
    { type: 'function', name: 'no_such_tool', function: { name: 'no_such_tool' } },
    { type: 'tool', name: 'no_such_tool' },
    { type: 'json_object' },
    { format: { type: 'json_schema' } },
    [{ type: 'web_search' }],
    [{ type: 'image_url', image_url: { url: 'http://127.0.0.1:9/' } }],
    [{ role: 'tool', content: PRIVATE }],
    [{ role: 'assistant', content: null, tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{' } }] }],
    [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: PRIVATE }] }],
    [{ type: 'function_call_output', call_id: 'a', output: PRIVATE }],
    [{ type: 'item_reference', id: 'a' }],
    [{ role: 'user', content: `${PRIVATE} \ud800` }],
    'required',
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A place in a body, as numbers that choose a field at each level, and its new value. */
const fault = fc.record({ at: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), value: hostile, rare: fc.nat(3) });
type Fault = { at: number[]; value: unknown; rare: number };

function spoil(body: object, { at, value: given, rare }: Fault): void {
  // Another fault may change it.
  const value = structuredClone(given);
  if (rare === 0) {
    Object.assign(body, { [RARE[(at[0] ?? 0) % RARE.length] ?? '']: value });
    return;
  }
  let target = body as Record<string, unknown>;
  for (const [level, choice] of at.entries()) {
    const names = Object.keys(target);
    const name = names[choice % names.length];
    if (name === undefined) return;
    const inner = target[name];
    if (level < at.length - 1 && typeof inner === 'object' && inner !== null) target = inner as typeof target;
    else {
      target[name] = value;
      return;
    }
  }
}

/** Changes of the text of a body. Most leave no JSON, or JSON that a parser must not trust. */
const RAW: readonly ((body: string) => string)[] = [
  (body) => body.slice(0, -1),
  (body) => body.replace('{', '{"__proto__":{"polluted":1},'),
  (body) => body.replace('{', '{"constructor":{"prototype":{"polluted":1}},'),
  (body) => body.replace('{', `{"more":${'['.repeat(400)}${']'.repeat(400)},`),
  (body) => `${body}${body}`,
  (body) => `[${body}]`,
  (body) => body.replace(/:(\d)/, ':1e999$1'),
  (body) => body.replace(/:(\d)/, ':NaN'),
  (body) => body.replaceAll(PRIVATE, `${PRIVATE}\\udc00`),
  (body) => body.replaceAll(PRIVATE, `${PRIVATE}\u0000`),
  () => '',
];
const TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'multipart/form-data',
];
const JSON_HEAD = ['Content-Type', 'application/json'] as const;

const heads = fc.array(
  fc.constantFrom<readonly [string, string]>(
    ['X-Narration', 'on'],
    ['X-Deadline', '0'],
    ['X-Deadline', 'soon'],
    ['anthropic-version', '2023-06-01'],
    ['Accept', 'text/event-stream'],
    ['X-Correlation-Id', 'soak-dialect'],
  ),
  { maxLength: 1 },
);

const post: fc.Arbitrary<DialectRequest> = fc.constantFrom(...POSTS).chain((path) =>
  fc
    .record({
      body: VALID[path],
      faults: fc.oneof(
        { weight: 3, arbitrary: fc.array(fault, { minLength: 1, maxLength: 2 }) },
        { weight: 1, arbitrary: fc.constant<Fault[]>([]) },
      ),
      raw: maybe(fc.tuple(fc.nat(5), fc.constantFrom(...RAW))),
      type: fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, fc.constantFrom(...TYPES)),
      more: maybe(heads),
    })
    .map(({ body, faults, raw, type, more = [] }) => {
      const own = structuredClone(body);
      for (const one of faults) spoil(own, one as Fault);
      const json = JSON.stringify(own);
      const changed = raw !== undefined && raw[0] === 0;
      const narrates = (own as { narration?: unknown }).narration;
      return {
        method: 'POST' as const,
        path,
        headers: [type === undefined ? JSON_HEAD : (['Content-Type', type] as const), ...more],
        body: changed ? raw[1](json) : json,
        narrates: narrates === true || (narrates == null && more.some(([name]) => name === 'X-Narration')),
        faults: faults.length + (changed ? 1 : 0) + (type === undefined ? 0 : 1) + more.filter(isFault).length,
      };
    }),
);
const isFault = ([name]: readonly [string, string]): boolean => name === 'X-Deadline';
const get: fc.Arbitrary<DialectRequest> = fc.record({ path: fc.constantFrom(...GETS), headers: heads }).map((one) => ({
  ...one,
  method: 'GET',
  body: '',
  narrates: false,
  faults: 1,
}));

/** Requests to all routes of the dialects. */
export const dialectRequests = fc.oneof({ weight: 12, arbitrary: post }, { weight: 1, arbitrary: get });
