/**
 * The command line of `ask`: the question, its own flags, the fields of the request, and after `--` the
 * settings of the worker that it starts.
 */
import { parseArgs } from 'node:util';
import { ConfigError, suggestionFor } from '../../../config/config.ts';
import { SETTINGS } from '../../../config/settings.ts';
import { ENV_FILE } from '../../../config/settings-file.ts';
import { messageOf, shorten } from '../../../protocol/text/error-message.ts';
import { fieldsOf, optionOf, problemsOf, type RequestFields, requestFlags } from './request-flags.ts';

/** The flags of the command itself. */
const OWN_FLAGS = {
  url: { type: 'string' },
  'api-token': { type: 'string' },
  system: { type: 'string' },
  continue: { type: 'boolean', short: 'c' },
  chat: { type: 'boolean' },
  json: { type: 'boolean' },
  story: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  save: { type: 'boolean' },
  think: { type: 'boolean' },
} as const;

export interface AskArguments {
  /** Absent if standard input has the question. */
  readonly question: string | undefined;
  readonly request: RequestFields;
  readonly system: string | undefined;
  readonly url: string | undefined;
  readonly apiToken: string | undefined;
  readonly continues: boolean;
  readonly isChat: boolean;
  readonly isJson: boolean;
  /** The part of the narration that stays on the screen: the last line, all sentences, or nothing. */
  readonly narration: 'live' | 'story' | 'none';
  /** False: neither the conversation nor the questions of a chat are kept. */
  readonly saves: boolean;
  /** The settings after `--`; undefined without `--`. */
  readonly workerSettings: readonly string[] | undefined;
}

/** @throws ConfigError that lists all problems, one per line */
export function readAskArguments(args: readonly string[]): AskArguments {
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  const flags = requestFlags();
  const { values, positionals } = parse(own, Object.fromEntries(flags.map((flag) => [flag.name, optionOf(flag)])));
  const [question = values['prompt'], ...more] = positionals as (string | undefined)[];
  if (more.length > 0)
    throw new ConfigError(
      `ask takes one question, but got ${more.length + 1} texts: put the question in quotes, as in ask "Write a haiku"`,
    );
  const request = requestOf(values, flags);
  const problems = [...problemsOf(request, flags), ...contradictions(values, question)];
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return {
    question: question as string | undefined,
    request,
    system: values['system'] as string | undefined,
    url: values['url'] as string | undefined,
    apiToken: values['api-token'] as string | undefined,
    continues: values['continue'] === true,
    isChat: values['chat'] === true,
    isJson: values['json'] === true,
    narration: values['quiet'] === true ? 'none' : values['story'] === true ? 'story' : 'live',
    saves: values['save'] !== false,
    workerSettings: end === -1 ? undefined : args.slice(end + 1),
  };
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function requestOf(values: Values, flags: ReturnType<typeof requestFlags>): RequestFields {
  const { prompt: _, ...others } = values;
  try {
    const fields = fieldsOf(flags, others);
    return values['think'] === undefined ? fields : { ...fields, enable_thinking: values['think'] === true };
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

/** Flags that exclude each other. */
function contradictions(values: Values, question: unknown): string[] {
  const problems: string[] = [];
  const exclude = (one: string, other: string, reason: string): void => {
    if (values[one] && values[other]) problems.push(`--${one} and --${other} must not be used together: ${reason}`);
  };
  exclude('quiet', 'story', '--quiet hides the narration that --story shows');
  exclude('json', 'chat', 'a chat is a conversation with a person');
  exclude('raw', 'system', 'a raw prompt has no messages');
  exclude('raw', 'continue', 'a raw prompt has no messages');
  exclude('raw', 'chat', 'a raw prompt has no messages');
  if (question === '') problems.push('ask needs a question that is not empty: ask "Write a haiku about the sea"');
  return problems;
}

function parse(args: readonly string[], requestOptions: Readonly<Record<string, ReturnType<typeof optionOf>>>) {
  const options = { ...requestOptions, ...OWN_FLAGS };
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true, strict: true });
    return { values: parsed.values as Values, positionals: parsed.positionals };
  } catch (error) {
    // The rest of the sentence is about `--`, which has another meaning here.
    const reason = shorten(messageOf(error).split('. To specify')[0] ?? '', 400);
    throw new ConfigError(reason + remedyFor(error, Object.keys(options)));
  }
}

/** A setting of a worker in the wrong place, or a flag with a similar name. */
function remedyFor(error: unknown, known: readonly string[]): string {
  const name = /^Unknown option '--(?:no-)?([^'=]+)/.exec(messageOf(error))?.[1];
  if (name === undefined && messageOf(error).startsWith('Unknown option'))
    return '\nA question that begins with a dash: ask --prompt="-5 plus 3?"';
  if (name !== undefined && (Object.hasOwn(SETTINGS, name) || name === ENV_FILE.name))
    return `\n--${name} is a setting of the worker that ask starts. Put such settings after --, as in: ask "Hello" -- --${name} …`;
  return `${suggestionFor(error, known)}\nrbees-workerd ask --help-all lists all flags.`;
}
