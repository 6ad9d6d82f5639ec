/** Demanded calls of a model whose template writes the arguments of a call before its name. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelVariants } from '../../support/model-variants.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const variants = new ModelVariants();
let worker: TestWorker;
beforeAll(async () => {
  const template =
    "{{ tools | tojson if tools }}{% for turn in messages %}{{ turn.role ~ ': ' ~ turn.content }}" +
    '{% for call in turn.tool_calls or [] %}{{ \'<tool_call>{"arguments": \' ~ (call.function.arguments | tojson) ~ ' +
    "', \"name\": \"' ~ call.function.name ~ '\"}</tool_call>' }}{% endfor %}{{ '\\n' }}{% endfor %}{{ 'assistant: ' }}";
  const model = await variants.copy({ 'chat_template.jinja': () => template });
  worker = await startWorker({ args: ['--model', model, '--slots', '1'] });
  expect(worker.lines.find(({ event }) => event === 'template.profiled')).toMatchObject({ tool_format: 'json' });
});
afterAll(async () => {
  await worker.kill();
  variants.remove();
});

test.each(['required', { type: 'function', function: { name: 'sail' } }])(
  'tool_choice %j: the arguments are those of the model, and match the schema',
  async (tool_choice) => {
    const parameters = {
      type: 'object',
      properties: { tide: { enum: ['low', 'high'] } },
      required: ['tide'],
      additionalProperties: false,
    };
    const tools = [{ type: 'function', function: { name: 'sail', parameters } }];
    const messages = [{ role: 'user', content: 'Sail' }];
    const body = { messages, tools, tool_choice, parallel_tool_calls: false, max_tokens: 64, seed: 4 };
    const response = await worker.post('/v1/chat/completions', body);
    interface Answer {
      readonly choices: readonly {
        readonly message: {
          readonly tool_calls?: readonly { readonly function: { name: string; arguments: string } }[];
        };
      }[];
    }
    const [call] = ((await response.json()) as Answer).choices[0]?.message.tool_calls ?? [];
    expect(call?.function.name).toBe('sail');
    expect(JSON.parse(call?.function.arguments ?? '')).toEqual({ tide: expect.stringMatching(/^(?:low|high)$/) });
  },
);
