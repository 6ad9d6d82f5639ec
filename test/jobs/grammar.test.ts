/** The grammars of orders: their place in the sequence, their errors, and the shapes of these in each dialect. */
import { beforeAll, describe, expect, test } from 'vitest';
import { WorkerError } from '../../src/contract/errors.ts';
import { COMPILE_MS, MAX_DEPTH, MAX_STATES } from '../../src/grammar/budget.ts';
import { GrammarError, type GrammarProblem } from '../../src/grammar/grammar-error.ts';
import { buildVocabulary, type VocabularyData } from '../../src/grammar/matching/vocabulary.ts';
import type { Json, OutputFormat } from '../../src/grammar/output-format.ts';
import { anthropicError } from '../../src/http/anthropic/errors.ts';
import { errorBody } from '../../src/http/native/errors.ts';
import { openAIError } from '../../src/http/openai/errors.ts';
import { GrammarRefusal } from '../../src/jobs/grammar/grammar-refusal.ts';
import type { GenerationOrder } from '../../src/jobs/order.ts';
import { grammarsIn, type Prepared, prepare } from '../../src/jobs/prompt.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { type CompilerOptions, GrammarCompiler } from '../../src/text/grammar/grammar-compiler.ts';
import { fakeModel } from '../support/fakes.ts';

/** A vocabulary whose tokens are these texts. */
function vocabularyOf(texts: readonly string[]): VocabularyData {
  const encoder = new TextEncoder();
  const building = buildVocabulary(texts.length, (id) => encoder.encode(texts[id]));
  for (;;) {
    const { done, value } = building.next();
    if (done) return value;
  }
}
const BYTES = vocabularyOf(Array.from({ length: 128 }, (_, byte) => String.fromCharCode(byte)));

/** Compiles on the event loop, in any time. */
const ON_LOOP: CompilerOptions = { newClock: () => () => 0 };
const FIELD = 'response_format.json_schema.schema';
const schemaOf = (schema: Json): OutputFormat => ({ kind: 'schema', schema });

let model: LoadedModel;
beforeAll(() => {
  model = modelWith(BYTES);
});

function modelWith(vocabulary: VocabularyData, failure?: Error): LoadedModel {
  const grammars = new GrammarCompiler(ON_LOOP);
  const compile = async (): Promise<never> => {
    throw failure;
  };
  return {
    ...fakeModel(),
    grammars: failure ? { compile } : grammars,
    vocabulary: { get: async () => vocabulary },
  } as unknown as LoadedModel;
}

async function prepared(format: OutputFormat, order: Partial<GenerationOrder> = {}, own = model): Promise<Prepared> {
  const inputs = [{ prompt: 'The sea', raw: true }];
  const complete = { jobId: 'a', inputs, sampling: {}, ignoredFields: [], onDisconnect: 'cancel' as const };
  const demanded = { format: { format, field: FIELD } };
  return prepare({ ...complete, ...demanded, ...order }, own, 16, new AbortController().signal);
}

const refusalOf = async (...order: Parameters<typeof prepared>): Promise<WorkerError> => {
  const error: unknown = await prepared(...order).catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkerError)) throw new Error(`not refused: ${error}`);
  return error;
};

describe('a form of the output', () => {
  test('gives its grammar to the sequence', async () => {
    const { prompts } = await prepared({ kind: 'choice', choices: ['yes', 'no'] });
    const { key, program } = prompts[0]?.sequence.grammar ?? {};
    expect([key, program]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringContaining('"chars"')]);
  });

  test('gives all prompts of an order one grammar', async () => {
    const inputs = ['The sea', 'The wind', 'The moon'].map((prompt) => ({ prompt, raw: true }));
    const done = await prepared({ kind: 'json_object' }, { inputs });
    const keys = done.prompts.map(({ sequence }) => sequence.grammar?.key);
    expect([keys.length, new Set(keys).size, grammarsIn(done).length]).toEqual([3, 1, 1]);
  });

  test('reports the keywords without an effect', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string', format: 'colour' } } };
    const [grammar] = grammarsIn(await prepared(schemaOf(schema)));
    expect(grammar?.withoutEffect).toEqual(['properties.a.format']);
  });

  test('is absent from the sequence without a demand', async () => {
    const { prompts } = await prepared({ kind: 'json_object' }, { format: undefined });
    expect(prompts[0]?.sequence).not.toHaveProperty('grammar');
  });
});

describe('a form that cannot be compiled', () => {
  const cases: [GrammarProblem, OutputFormat, string][] = [
    ['invalid', schemaOf({ properties: { a: { type: 'strung' } } }), `${FIELD}.properties.a.type`],
    ['invalid', { kind: 'regex', pattern: '(' }, FIELD],
    ['unsatisfiable', schemaOf({ type: 'string', enum: [1] }), FIELD],
  ];
  test.each(cases)('is refused as %s with its place', async (constraint, format, field) => {
    const { code, status, violations = [] } = await refusalOf(format);
    expect([code, status, violations.length]).toEqual(['INVALID_REQUEST', 400, 1]);
    expect(violations[0]).toMatchObject({ constraint, field, message: expect.stringContaining(`${field} `) });
  });

  test('in a tool is refused with the place of its schema', () => {
    const refusal = new GrammarRefusal(
      new GrammarError('unsupported', ['not'], 'is not supported'),
      'tools[1].input_schema',
    );
    expect(refusal.violations?.[0]).toMatchObject({
      field: 'tools[1].input_schema.not',
      message: 'tools[1].input_schema.not is not supported',
    });
  });

  test('because it is too complex is refused with the limits, and is never retried', async () => {
    const error = new GrammarError('too_complex', ['anyOf', 3], `needs more than ${MAX_STATES} states`);
    const refusal = await refusalOf({ kind: 'json_object' }, {}, modelWith(BYTES, error));
    const { code, status, retry, details, violations } = refusal;
    expect([code, status, retry, violations]).toEqual(['SCHEMA_TOO_COMPLEX', 400, 'never', undefined]);
    expect(refusal.message).toBe(`${FIELD}.anyOf[3] needs more than ${MAX_STATES} states.`);
    const limits = { max_states: MAX_STATES, max_depth: MAX_DEPTH, max_compile_ms: COMPILE_MS };
    expect(details).toEqual({ field: `${FIELD}.anyOf[3]`, ...limits });
  });

  test('has a place of limited length without harmful characters', () => {
    const refusal = new GrammarRefusal(
      new GrammarError('invalid', ['a\u001b[31m\n', 'x'.repeat(9_999)], 'is wrong'),
      FIELD,
    );
    const field = refusal.violations?.[0]?.field ?? '';
    expect([field.length <= 256, field.endsWith('…'), field.includes('\n') || field.includes('\u001b')]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('an error of a form', () => {
  const of = (problem: GrammarProblem): WorkerError =>
    new GrammarRefusal(new GrammarError(problem, ['not'], 'is not supported; use anyOf'), FIELD);
  const message = `${FIELD}.not is not supported; use anyOf`;

  test.each(['invalid', 'unsupported', 'unsatisfiable'] as const)(
    'that is %s has the shape of each dialect',
    (problem) => {
      const type = 'invalid_request_error';
      expect(openAIError(of(problem))).toEqual({ message, type, param: `${FIELD}.not`, code: 'invalid_request' });
      expect(anthropicError(of(problem), 'r')).toMatchObject({ error: { type, message } });
      expect(errorBody(of(problem), 'c')).toMatchObject({
        error: { code: 'INVALID_REQUEST', retry: 'never', errors: [{ constraint: problem, message }] },
      });
    },
  );

  test('that is too complex has the shape of each dialect', () => {
    const type = 'invalid_request_error';
    const error = of('too_complex');
    expect(openAIError(error)).toEqual({
      message: `${message}.`,
      type,
      param: `${FIELD}.not`,
      code: 'schema_too_complex',
    });
    expect(anthropicError(error, 'r')).toMatchObject({ error: { type, message: `${message}.` } });
    expect(errorBody(error, 'c')).toMatchObject({
      error: { code: 'SCHEMA_TOO_COMPLEX', retriable: false, details: { max_states: MAX_STATES } },
    });
  });
});

describe('a vocabulary that lacks characters', () => {
  const words = modelWith(vocabularyOf(['yes', 'no', ' ']));

  test('is used for a form that its tokens can begin', async () => {
    const { prompts } = await prepared({ kind: 'choice', choices: ['yes', 'no'] }, {}, words);
    expect(prompts[0]?.sequence.grammar).toBeDefined();
  });

  test('refuses a form that no token can begin', async () => {
    const { code, violations } = await refusalOf({ kind: 'json_object' }, {}, words);
    expect([code, violations?.[0]?.message]).toEqual([
      'INVALID_REQUEST',
      `${FIELD} demands a text that the model's tokens cannot spell; demand another form, or use another model`,
    ]);
  });
});
