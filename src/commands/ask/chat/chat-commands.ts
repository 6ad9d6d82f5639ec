/** The commands of a chat: a line that begins with a slash. */
import { writeFileSync } from 'node:fs';
import { nearestOf } from '../../../config/nearest.ts';
import { messageOf } from '../../../protocol/text/error-message.ts';
import { fieldsOf, problemsOf, type RequestFields, requestFlags } from '../arguments/request-flags.ts';
import type { Conversation } from '../state/conversation.ts';

/** The parts of a chat that its commands change. */
export interface ChatState {
  readonly conversation: Conversation;
  request: RequestFields;
}

/** The answer of a command, as text for the person. Undefined: the chat ends. */
type Reply = string | undefined;

interface ChatCommand {
  readonly usage: string;
  readonly summary: string;
  readonly run: (state: ChatState, argument: string) => Reply;
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  help: { usage: '/help', summary: 'this list', run: () => help() },
  set: {
    usage: '/set <name> <value>',
    summary: 'a field of the next questions; /set lists the fields',
    run: set,
  },
  system: { usage: '/system <text>', summary: 'instructions for the model; without a text: none', run: setSystem },
  clear: {
    usage: '/clear',
    summary: 'forget the questions and answers so far',
    run: ({ conversation }) => {
      conversation.clear();
      return 'The conversation is empty now.';
    },
  },
  save: { usage: '/save <file>', summary: 'write the conversation into a new Markdown file', run: save },
  exit: { usage: '/exit', summary: 'leave, as Ctrl-D does', run: () => undefined },
};

/** Runs a line that begins with a slash. */
export function runCommand(state: ChatState, line: string): Reply {
  const [, name = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command) return command.run(state, argument.trim());
  const nearest = nearestOf(name, Object.keys(COMMANDS));
  return `There is no command /${name}.${nearest === undefined ? '' : ` Did you mean /${nearest}?`} /help lists the commands.`;
}

function help(): string {
  const rows = Object.values(COMMANDS).map(({ usage, summary }) => `  ${usage.padEnd(20)} ${summary}`);
  return [
    ...rows,
    '  """                  begins and ends a question of several lines',
    '  Ctrl-C               cancels the answer',
  ].join('\n');
}

function set(state: ChatState, argument: string): Reply {
  const flags = requestFlags().filter(({ field }) => field !== 'prompt' && field !== 'raw' && field !== 'job_id');
  const [, name = '', value = ''] = /^(\S*)\s*(.*)$/s.exec(argument) ?? [];
  if (name === '') {
    const given = Object.entries(state.request).map(([field, one]) => `  ${field} ${JSON.stringify(one)}`);
    const names = `Fields: ${flags.map((flag) => flag.field).join(', ')}`;
    return [...(given.length > 0 ? given : ['Nothing is set.']), names].join('\n');
  }
  const flag = flags.find((one) => one.field === name || one.name === name);
  if (!flag) {
    const nearest = nearestOf(
      name,
      flags.map(({ field }) => field),
    );
    return `There is no field ${name}.${nearest === undefined ? '' : ` Did you mean ${nearest}?`} /set without a name lists the fields.`;
  }
  const { [flag.field as keyof RequestFields]: _, ...others } = state.request;
  if (value === '') {
    state.request = others;
    return `${flag.field} is back at its default.`;
  }
  try {
    const isWord = flag.kind === 'boolean' && (value === 'true' || value === 'false');
    const given = flag.kind === 'list' ? [value] : isWord ? value === 'true' : value;
    const request = { ...others, ...fieldsOf([flag], { [flag.name]: given }) };
    const problems = problemsOf(request, []);
    if (problems.length > 0) return problems.join('\n');
    state.request = request;
    return `${flag.field} is ${JSON.stringify(request[flag.field as keyof RequestFields])}.`;
  } catch (error) {
    return messageOf(error);
  }
}

function setSystem({ conversation }: ChatState, text: string): Reply {
  conversation.system = text === '' ? undefined : text;
  return text === '' ? 'The model has no instructions.' : 'The model has new instructions.';
}

function save({ conversation }: ChatState, path: string): Reply {
  if (path === '') return '/save needs a file: /save talk.md';
  try {
    writeFileSync(path, conversation.toMarkdown(), { flag: 'wx', mode: 0o600 });
    return `The conversation is in ${path}.`;
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    return exists ? `${path} exists already: choose another name.` : `${path} cannot be written: ${messageOf(error)}`;
  }
}
