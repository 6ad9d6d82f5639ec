/** The prompt of an order: its template, the text that the output continues, and tokens that the model lacks. */
import { beforeAll, describe, expect, test } from 'vitest';
import { WorkerError } from '../../src/contract/errors.ts';
import type { GenerationOrder, Input } from '../../src/jobs/order.ts';
import { MAX_PROMPT_SCORES, type PreparedPrompt, prepare } from '../../src/jobs/prompt.ts';
import { LEAST_COUNTED, promptIds } from '../../src/jobs/prompt-ids.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { NEUTRAL } from '../../src/protocol/sampling.ts';
import { GrammarCompiler } from '../../src/text/grammar/grammar-compiler.ts';
import { ChatTemplate } from '../../src/text/template/chat-template.ts';
import { ChatTemplates } from '../../src/text/template/chat-templates.ts';
import { GrammarVocabulary } from '../../src/text/tokenizer/grammar-vocabulary.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

const text = '<|user|>{{ messages[0].content }}{% if messages[1] is defined %}<|assistant|>{% endif %}';
const template = new ChatTemplate({ name: 'default', file: 'chat_template.jinja', text, tokens: {} });
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await Tokenizer.open(haikuFiles, { templates: [template] });
});

type TestOrder = Partial<GenerationOrder> & { readonly input?: Input };

const modelWith = (templates: readonly ChatTemplate[] = [template], idLimit = 1024, context = 64): LoadedModel =>
  ({
    spec: { name: 'haiku', eosIds: [3], sampling: NEUTRAL },
    facts: { slots: 1, context, idLimit },
    tokenizer,
    grammars: new GrammarCompiler({ newClock: () => () => 0 }),
    vocabulary: new GrammarVocabulary(tokenizer, idLimit),
    templates: new ChatTemplates(
      templates.map((one) => ({ name: 'default', file: 'chat_template.jinja', template: one })),
    ),
  }) as unknown as LoadedModel;

const prepared = async (
  { input = { prompt: 'The sea', raw: true }, ...order }: TestOrder,
  templates: readonly ChatTemplate[] = [template],
  idLimit = 1024,
  context?: number,
): Promise<PreparedPrompt> => {
  const model = modelWith(templates, idLimit, context);
  const complete = { jobId: 'a', inputs: [input], sampling: {}, ignoredFields: [] };
  const signal = new AbortController().signal;
  const { prompts } = await prepare({ ...complete, onDisconnect: 'cancel', ...order }, model, 16, signal);
  const [first] = prompts;
  if (!first) throw new Error('no prompt was prepared');
  return first;
};
const messages = (...contents: string[]) => ({
  messages: contents.map((content) => ({ role: 'user' as const, content })),
});
const user = { prompt: 'The sea', raw: false };

/** The violation of the refusal of an order. */
async function violationOf(...order: Parameters<typeof prepared>): Promise<object | undefined> {
  const error: unknown = await prepared(...order).catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkerError) || error.code !== 'INVALID_REQUEST') throw new Error(`not refused: ${error}`);
  return error.violations?.[0];
}

describe('the output', () => {
  test('continues a raw prompt, and a prompt of a model without a template', async () => {
    for (const work of [prepared({}), prepared({ input: user }, [])]) {
      const { continued, sequence } = await work;
      expect([continued.length > 0, continued]).toEqual([true, sequence.prompt]);
    }
  });

  test('continues no text after a chat template', async () => {
    expect((await prepared({ input: user })).continued).toEqual([]);
    expect((await prepared({ input: messages('The sea') })).continued).toEqual([]);
  });

  test('of a form continues the prompt: decoding strips no space that the form demands', async () => {
    const format = { format: { kind: 'choice', choices: [' yes', ' no'] }, field: 'choice' } as const;
    for (const input of [user, messages('The sea')]) {
      const { continued, sequence } = await prepared({ input, format });
      expect([continued.length > 0, continued]).toEqual([true, sequence.prompt]);
    }
  });
});

test('the output continues the beginning of an answer', async () => {
  const { continued, sequence } = await prepared({ input: { ...messages('The sea'), answerStart: 'Waves' } });
  expect(continued).toEqual(sequence.prompt);
  expect(tokenizer.complete.decode(continued)).toBe('<|user|>The seaWaves');
});

describe('a prompt with tools', () => {
  const tools = [{ name: 'look', parameters: { type: 'object' } }];
  const toolUse = { choice: 'auto', parallel: true } as const;

  test('is the conversation of one message', async () => {
    const preparedOf = (input: Input) => prepared({ input, toolUse }, [template], 1024, 1024);
    const { sequence } = await preparedOf({ ...user, tools });
    const conversation = await preparedOf({ ...messages('The sea'), tools });
    expect(sequence.prompt).not.toEqual((await prepared({ input: user })).sequence.prompt);
    expect(sequence.prompt).toEqual(conversation.sequence.prompt);
  });

  test('is refused for a model without a template, and one without tools is taken as it is', async () => {
    expect(await violationOf({ input: { ...user, tools }, toolUse }, [])).toEqual({
      field: 'tools',
      constraint: 'unsupported',
      message: 'tools require a model with a chat template; send the prompt without them',
    });
    const { parser, continued, sequence } = await prepared({ input: user, toolUse }, []);
    expect([parser, continued]).toEqual([undefined, sequence.prompt]);
  });

  test('names its field in an error', async () => {
    const input = { prompt: '<|assistant|>', raw: false, tools };
    expect(await violationOf({ input, toolUse }, [template], 2, 1024)).toMatchObject({ field: 'prompt' });
  });
});

describe('ids without a job', () => {
  const idsOf = (input: Input, mostTokens = LEAST_COUNTED): Promise<readonly number[]> =>
    promptIds({ inputs: [input] }, modelWith(), { mostTokens, signal: new AbortController().signal });

  test.each<[string, Input]>([
    ['a raw prompt', { prompt: 'The sea', raw: true }],
    ['a prompt', user],
    ['a conversation', messages('The sea', 'The wind')],
    ['ids', { ids: [1, 2, 3] }],
  ])('are those of the job for %s', async (_, input) => {
    expect(await idsOf(input)).toEqual((await prepared({ input })).sequence.prompt);
  });

  test('may be more than the context, and not more than the caller takes', async () => {
    const long = { prompt: 'sea '.repeat(100), raw: true };
    const ids = await idsOf(long);
    expect(ids.length).toBeGreaterThan(64);
    expect(await idsOf(long, ids.length)).toEqual(ids);
    const refusal = idsOf(long, ids.length - 1);
    await expect(refusal).rejects.toMatchObject({ code: 'PROMPT_TOO_LONG' });
    await expect(refusal).rejects.toThrow(`has ${ids.length} tokens; at most ${ids.length - 1} are allowed here`);
  });

  test('get the special tokens that the caller asks for', async () => {
    const rules = { mostTokens: LEAST_COUNTED, signal: new AbortController().signal };
    const encoded = (addSpecialTokens: boolean): Promise<readonly number[]> =>
      promptIds({ inputs: [{ prompt: 'The sea', raw: true }] }, modelWith(), { ...rules, addSpecialTokens });
    expect(await encoded(true)).toEqual([0, ...(await encoded(false))]);
  });
});

describe('a token that the model lacks', () => {
  test('is refused with its text and its id, and the field that gives it', async () => {
    // Id 1 is <|user|>, id 2 is <|assistant|>.
    const answer = await violationOf({ input: { prompt: '<|assistant|>', raw: true } }, [], 2);
    expect(answer).toMatchObject({
      field: 'prompt',
      constraint: 'vocabulary',
      message: expect.stringMatching(
        /^prompt must have no token that the model lacks, but gives "<\|assistant\|>", id 2; /,
      ),
    });
    const fits = { input: { prompt: '<|user|>', raw: true } };
    expect((await prepared(fits, [], 2)).sequence.prompt).toContain(1);
  });

  test('is refused for messages, also if the template adds it', async () => {
    expect(await violationOf({ input: messages('<|assistant|>') }, [template], 2)).toMatchObject({ field: 'messages' });
    const input = messages('<|user|>', '<|user|>');
    expect(await violationOf({ input }, [template], 2)).toMatchObject({
      field: 'messages',
      message: expect.stringContaining('if the chat template adds it'),
    });
    expect(await violationOf({ input: { prompt: '<|assistant|>', raw: false } }, [template], 2)).toMatchObject({
      field: 'prompt',
    });
  });
});

describe('the field template', () => {
  test('chooses a template, and an unknown name is refused with the names that exist', async () => {
    expect((await prepared({ input: user, template: 'default' })).sequence.prompt).toContain(1);
    const message = 'template must be one of default, but is "rag"';
    expect(await violationOf({ input: user, template: 'rag' })).toMatchObject({ field: 'template', message });
  });

  test('is refused by a model without a template', async () => {
    const message = 'template requires a model with a chat template, and this model has none; leave template out';
    for (const input of [user, messages('x')])
      expect(await violationOf({ input, template: 'default' }, [])).toMatchObject({ field: 'template', message });
  });

  test('is not needed: messages without a template are refused as before', async () => {
    const message = 'messages require a model with a chat template; use prompt instead';
    expect(await violationOf({ input: messages('x') }, [])).toMatchObject({ field: 'messages', message });
  });
});

describe('the sequence', () => {
  test('has the logit bias of the order, if it names an id', async () => {
    const logitBias = [
      [5, -100],
      [1023, 0.5],
    ] as const;
    expect((await prepared({ logitBias })).sequence.logitBias).toEqual(logitBias);
    for (const none of [undefined, []])
      expect((await prepared({ logitBias: none })).sequence).not.toHaveProperty('logitBias');
  });

  test('has no end ids with ignoreEos', async () => {
    expect((await prepared({})).sequence.endIds).toEqual([3]);
    expect((await prepared({ ignoreEos: false })).sequence.endIds).toEqual([3]);
    expect((await prepared({ ignoreEos: true })).sequence.endIds).toEqual([]);
  });

  test('cannot have a bias of an id that the model lacks: the violation names field and id', async () => {
    expect(
      await violationOf({
        logitBias: [
          [1023, 1],
          [1024, 1],
        ],
      }),
    ).toEqual({
      field: 'logit_bias.1024',
      constraint: 'vocabulary',
      message: 'logit_bias.1024 must be an id of the model, but its ids end at 1023',
      value: 1024,
    });
  });
});

test('scores of the prompts that make too long an answer are refused', async () => {
  const order = { input: { prompt: 'The sea', raw: true }, promptLogprobs: 20 };
  expect((await prepared({ ...order, choices: 16 })).sequence.promptLogprobs).toBe(20);
  expect(await violationOf({ ...order, choices: MAX_PROMPT_SCORES })).toMatchObject({ constraint: 'scores' });
});
