/**
 * A model with a scripted output, as a folder that the worker loads like any other: it answers a conversation
 * with a fixed text, a conversation with tools with another one (usually a tool call), and the result of a tool
 * with a third one. So real agents and clients can be driven through a turn with a tool call.
 *
 * How it is made: `decoder.ts` writes the graph, which has a table of the scripts in place of weights. The
 * tokenizer has one id per byte, and one id for each of the five texts that choose a script. The chat template
 * is in the manner of Qwen 3: ChatML, tools as JSON lines, calls as `<tool_call>` blocks (Hermes), reasoning
 * between `<think>` and `</think>`.
 *
 * Prompts in any other format get a part of the plain script: only the chat format says where an answer begins.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decoder, IDS, SCRIPTS, type ScriptIds, VOCABULARY } from './decoder.ts';

/** The outputs of the model. Reasoning is a part of a script: `<think>\n…\n</think>\n\n`. */
export interface Scripts {
  /** The answer to a conversation without tools. */
  readonly plain: string;
  /** The answer to a conversation with tools; `plain` if absent. */
  readonly withTools?: string;
  /** The answer to the result of a tool; `plain` if absent. */
  readonly afterTool?: string;
  /** True: the template opens the reasoning, so that scripts begin behind `<think>\n`. */
  readonly opensReasoning?: boolean;
  /** Tokens of prompt and output together. Agents send prompts of 60 000 bytes. */
  readonly context?: number;
  /** Makes a token cost as much as a square matrix of this size: prompts then take time, as in a large model. */
  readonly work?: number;
}

const CONTEXT = 131_072;
const THINK_END = '</think>';

/** A tool call as the template writes it. */
export const toolCall = (name: string, args: unknown): string =>
  `<tool_call>\n{"name": "${name}", "arguments": ${JSON.stringify(args)}}\n</tool_call>`;

/** Reasoning as it precedes an answer. */
export const reasoned = (reasoning: string, answer: string): string =>
  `<think>\n${reasoning}\n${THINK_END}\n\n${answer}`;

/** Writes the files of the model into `folder`, which is made. @returns the folder */
export async function scriptedModel(folder: string, scripts: Scripts): Promise<string> {
  const { context = CONTEXT, opensReasoning = false, work = 0 } = scripts;
  const ids = SCRIPTS.map((name) => idsOf(scripts[name] ?? scripts.plain, opensReasoning));
  const opened = opensReasoning ? OPENING.length : 0;
  const special = { bos_token: null, eos_token: '<|im_end|>', pad_token: '<|im_end|>' };
  const files: Readonly<Record<string, string | Buffer>> = {
    'model.onnx': decoder(ids, opened, work),
    'config.json': JSON.stringify({ ...CONFIG, max_position_embeddings: context }),
    'generation_config.json': JSON.stringify({ eos_token_id: [IDS.end], do_sample: false }),
    'tokenizer.json': JSON.stringify(tokenizer()),
    'tokenizer_config.json': JSON.stringify({
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      model_max_length: context,
      ...special,
    }),
    'chat_template.jinja': template(reasoningOf(scripts)),
  };
  await mkdir(join(folder, 'onnx'), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name === 'model.onnx' ? 'onnx' : '', name), content);
  return folder;
}

/** Text of the template that opens the reasoning: `<think>` is seven tokens, one per byte. */
const OPENING = '<think>\n';

function reasoningOf({ plain, withTools = '', afterTool = '', opensReasoning = false }: Scripts): Reasoning {
  if (opensReasoning) return 'prompt';
  return [plain, withTools, afterTool].some((script) => script.startsWith(OPENING)) ? 'output' : 'none';
}

function idsOf(script: string, opensReasoning: boolean): ScriptIds {
  const end = script.indexOf(THINK_END);
  const answer = end < 0 ? script : script.slice(end + THINK_END.length).replace(/^\n\n/, '');
  const whole = opensReasoning && script.startsWith(OPENING) ? script.slice(OPENING.length) : script;
  return { whole: [...Buffer.from(whole)], withoutReasoning: [...Buffer.from(answer)] };
}

const CONFIG = {
  model_type: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  eos_token_id: IDS.end,
  num_hidden_layers: 1,
  hidden_size: 1,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  head_dim: 1,
  vocab_size: VOCABULARY,
};

/** Byte-level BPE without merges: a prompt of n bytes is n tokens. */
function tokenizer(): Readonly<Record<string, unknown>> {
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const vocab = Object.fromEntries(alphabet().map((character, byte) => [character, byte]));
  const added = Object.entries(ADDED).map(([content, id]) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: id <= IDS.end,
  }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: level,
    post_processor: null,
    decoder: level,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: [],
    },
  };
}

const ADDED: Readonly<Record<string, number>> = {
  '<|im_start|>': IDS.start,
  '<|im_end|>': IDS.end,
  '<tools>': IDS.tools,
  '<tool_response>': IDS.toolResponse,
  [THINK_END]: IDS.thinkEnd,
};

/** The characters of the bytes 0 to 255: printable Latin-1 is itself, the other bytes are U+0100 and up. */
function alphabet(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 0x100 + others++));
}

/** Where the reasoning of a script begins: nowhere, in the output, or in the prompt. */
type Reasoning = 'none' | 'output' | 'prompt';

const EARLIER_REASONING = `        {%- if message.reasoning_content %}
            {{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
`;

/** A request without thinking gets closed reasoning before the answer, as in Qwen 3. */
const CLOSED_REASONING = `
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}`;
const START_OF_REASONING = {
  output: `${CLOSED_REASONING}
    {%- endif %}`,
  prompt: `${CLOSED_REASONING}
    {%- else %}
        {{- '<think>\\n' }}
    {%- endif %}`,
};

function template(reasoning: Reasoning): string {
  return `{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- '# Tools\\n\\nYou may call these functions:\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- '\\n</tools>\\n\\nWrite each call as a JSON object between <tool_call> and </tool_call>:\\n' }}
    {{- '<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
${reasoning === 'none' ? '' : EARLIER_REASONING}        {{- message.content or '' }}
        {%- for call in message.tool_calls or [] %}
            {%- if message.content or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {%- if call.function.arguments is string %}
                {{- call.function.arguments }}
            {%- else %}
                {{- call.function.arguments | tojson }}
            {%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}${reasoning === 'none' ? '' : START_OF_REASONING[reasoning]}
{%- endif %}
`;
}
