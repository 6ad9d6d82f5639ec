/** The probe of the chat templates at the load: which can be used, and the reasons of the others. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openText, PROBE_RENDER, usableTemplates } from '../../src/lifecycle/open-text.ts';
import { MAX_TEMPLATE } from '../../src/model/template-source.ts';
import { capture } from '../../src/narration/narrate.ts';
import { builtThread, HAIKU_VOCABULARY, haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

const PLAIN = '{% for m in messages %}{{ m.content }}{% endfor %}';

/** The embedded tokenizer with other templates. `chat_template` is the field of tokenizer_config.json. */
async function opened(chat_template: unknown, idLimit = HAIKU_VOCABULARY) {
  const folder = await mkdtemp(join(tmpdir(), 'text-'));
  const tokenizerConfigFile = join(folder, 'tokenizer_config.json');
  await writeFile(tokenizerConfigFile, JSON.stringify({ bos_token: '<|bos|>', chat_template }));
  const text = await openText(
    { ...haikuFiles, folder, tokenizerConfigFile },
    { tokens: { added: [], named: { bos_token: '<|bos|>' } }, threadEntry: builtThread },
  );
  const { value: templates, narrations } = await captured(() => usableTemplates(text, idLimit));
  return { templates, narrations, tokenizer: text.tokenizer };
}

async function captured<T>(work: () => T) {
  let value: T | undefined;
  const { narrations } = await capture(() => {
    value = work();
  });
  return { value: value as T, narrations };
}

const reasonsOf = async (chat_template: unknown): Promise<(string | undefined)[]> =>
  (await opened(chat_template)).templates.all.map(({ reason }) => reason);

describe('a chat template', () => {
  it('that renders the probe is used, and nothing is narrated', async () => {
    const { templates, narrations, tokenizer } = await opened(PLAIN);
    const ids = await tokenizer.encode(
      { messages: [{ role: 'user', content: 'the sea' }] },
      {
        addSpecialTokens: false,
        template: templates.choose(undefined),
      },
    );
    expect([tokenizer.decode(ids), narrations]).toEqual(['the sea', []]);
  });

  it.each([
    ['an unknown filter', `${PLAIN}{{ messages | frobnicate }}`, /^it cannot render one message.*frobnicate/],
    ['an unknown function', `${PLAIN}{{ frobnicate() }}`, /^it cannot render one message/],
    ['a refusal', "{{ raise_exception('No users') }}", /^it cannot render one message of a user: No users$/],
    ['an open tag', '{% for %}', /^it cannot be parsed: /],
    ['20 000 parentheses', `{{ ${'('.repeat(20_000)}a${')'.repeat(20_000)} }}`, /^it cannot be parsed/],
    ['an expression without a value', '{{ }}', /^it cannot be parsed: unexpected CloseExpression$/],
    ['too many characters', 'x'.repeat(MAX_TEMPLATE + 1), /^it has 262145 characters; at most 262144 /],
    ['a prompt without the message', '{{ bos_token }}user: assistant:', /^its prompt lacks the text of the message$/],
    ['no text', '', /^its prompt lacks the text of the message$/],
    ['another type', 7, /^"chat_template" is neither a text nor a list of templates$/],
    [
      'a loop beyond the limits',
      `{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}`,
      /^it cannot render one message of a user: (rendering takes|all strings)/,
    ],
  ])('with %s cannot be used, and its reason is narrated', async (_, template, reason) => {
    const { templates, narrations } = await opened(template);
    expect(narrations).toMatchObject([
      {
        event: 'template.unusable',
        level: 'WARN',
        file: 'tokenizer_config.json',
        reason: expect.stringMatching(reason),
      },
    ]);
    expect(() => templates.choose(undefined)).toThrow(
      expect.objectContaining({
        code: 'TEMPLATE_UNUSABLE',
        retriable: false,
        message: expect.stringMatching(/raw: true/),
      }),
    );
  });

  it('that needs more work than the event loop does is rendered on the thread', async () => {
    const long = 'x'.repeat(PROBE_RENDER.text / 25);
    const work = `{% for n in range(30) %}{% set text = '${long}' | upper %}{% endfor %}`;
    expect(await reasonsOf(work + PLAIN)).toEqual([undefined]);
    expect(await reasonsOf(work)).toEqual(['its prompt lacks the text of the message']);
  });

  it('that needs a token which the model lacks cannot be used, and names the token', async () => {
    const { narrations } = await opened(`<|user|>${PLAIN}`, 1);
    expect(narrations).toMatchObject([
      { reason: 'it needs the token "<|user|>", id 1, and the ids of the model end at 0' },
    ]);
  });

  it.each([
    ['text', PLAIN, 'be kind the sea'],
    [
      'list of parts',
      "{% for m in messages %}{{ m.content | map(attribute='text') | join }}{% endfor %}",
      'be kind the sea',
    ],
  ])('that refuses messages without a system message is used; the content is a %s', async (_, rest, text) => {
    const demand = "{% if messages[0].role != 'system' %}{{ raise_exception('First the system') }}{% endif %}";
    const { templates, narrations } = await opened(demand + rest);
    expect(narrations).toEqual([]);
    const [system, user] = [
      { role: 'system', content: 'be kind ' },
      { role: 'user', content: 'the sea' },
    ];
    expect(templates.choose(undefined).render([system, user])).toBe(text);
    expect(() => templates.choose(undefined).render([user])).toThrow(
      expect.objectContaining({
        violations: [expect.objectContaining({ message: expect.stringContaining('First the system') })],
      }),
    );
  });

  it('that leaves out the first message is used with a system message', async () => {
    const { templates, narrations } = await opened(`{% set messages = messages[1:] %}${PLAIN}`);
    const messages = [
      { role: 'system', content: 'Hello. ' },
      { role: 'user', content: 'the sea' },
    ];
    expect(templates.choose(undefined).render(messages)).toBe('the sea');
    expect(narrations).toEqual([]);
  });

  it('of a multimodal model gets the content as a list of parts', async () => {
    const template =
      "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}";
    const { templates, narrations } = await opened(template);
    expect(templates.choose(undefined).render([{ role: 'user', content: 'the sea' }])).toBe('the sea');
    expect(narrations).toEqual([]);
  });
});

describe('several chat templates', () => {
  const list = (...names: string[]): object[] => names.map((name) => ({ name, template: `${name}:${PLAIN}` }));
  const rendered = ({ templates }: Awaited<ReturnType<typeof opened>>, name?: string): string =>
    templates.choose(name).render([{ role: 'user', content: 'x' }]);

  it('are chosen by name; the default one without a name', async () => {
    const model = await opened(list('tool_use', 'default'));
    expect([rendered(model), rendered(model, 'default'), rendered(model, 'tool_use')]).toEqual([
      'default:x',
      'default:x',
      'tool_use:x',
    ]);
    expect(() => rendered(model, 'rag')).toThrow(
      expect.objectContaining({
        violations: [
          {
            field: 'template',
            constraint: 'enum',
            message: 'template must be one of default, tool_use, but is "rag"',
            value: 'rag',
          },
        ],
      }),
    );
  });

  it('are rendered on the thread by the same name', async () => {
    const { tokenizer, templates } = await opened(list('tool_use', 'default'));
    const messages = [{ role: 'user', content: 'sea '.repeat(5000) }];
    const ids = await tokenizer.encode(
      { messages },
      { addSpecialTokens: false, template: templates.choose('tool_use') },
    );
    expect(tokenizer.decode(ids.slice(0, 20))).toMatch(/^tool_use:sea/);
    await tokenizer.close();
  });

  it('without a default: the only one is used', async () => {
    const model = await opened(list('chat'));
    expect([rendered(model), model.narrations]).toEqual(['chat:x', []]);
  });

  it('without a default: a request must choose, and the start says so', async () => {
    const model = await opened(list('chat', 'rag'));
    expect(model.narrations).toMatchObject([{ event: 'template.ambiguous', level: 'WARN', templates: 'chat, rag' }]);
    expect(rendered(model, 'rag')).toBe('rag:x');
    expect(() => rendered(model)).toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        violations: [
          expect.objectContaining({ field: 'template', message: expect.stringContaining('one of chat, rag') }),
        ],
      }),
    );
  });

  it('may have one that cannot be used: only requests that name it meet its reason', async () => {
    const model = await opened([...list('default'), { name: 'rag', template: '{{ documents[0].text }}' }]);
    expect(model.narrations).toMatchObject([{ event: 'template.unusable', level: 'INFO', template: 'rag' }]);
    expect(rendered(model)).toBe('default:x');
    expect(() => rendered(model, 'rag')).toThrow(
      expect.objectContaining({
        code: 'TEMPLATE_UNUSABLE',
        message: expect.stringContaining('another template: default'),
      }),
    );
  });

  it('have names that are harmless in an error', async () => {
    const { templates } = await opened(list('a\u001b[2J', 'b'));
    expect(templates.names).toBe('a[2J, b');
  });
});

it('a model without a chat template refuses a name of one', async () => {
  const { templates, narrations } = await opened(undefined);
  expect([templates.exist, narrations]).toEqual([false, []]);
  expect(() => templates.choose('x')).toThrow(
    expect.objectContaining({
      violations: [expect.objectContaining({ field: 'template', constraint: 'unsupported' })],
    }),
  );
});
