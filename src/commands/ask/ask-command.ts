/** The command `ask` for the table: its help texts, and its start. */
import type { Command } from '../command.ts';
import { requestFlags } from './arguments/request-flags.ts';
import { ask } from './ask.ts';

const HELP = `rbees-workerd ask "<question>" [flags] [-- settings of the worker]

Answers a question: answer on stdout, narration on stderr. Starts a worker for
it, or uses a running one. Text on stdin is the context of the question.

      --url <url>          use a running worker; also RBEES_URL
      --api-token <token>  the token of that worker; also RBEES_API_TOKEN
      --chat               a conversation; /help lists its commands
  -c, --continue           go on with the last conversation
      --system <text>      instructions for the model
      --schema <file>      answer with JSON that this JSON Schema accepts
      --tools <file>       functions that the model may call
      --seed, --temperature, --max-tokens <n>, --stop <text>, …
      --json               each event as one line of JSON
      --story, -q, --quiet keep the narration on the screen, or hide it

rbees-workerd ask "Write a haiku about the sea"
git diff | rbees-workerd ask "Write a commit message" --max-tokens 60
rbees-workerd ask "Hello" -- --model onnx-community/Qwen3-0.6B-ONNX --dtype q4

Exit codes: 0 answer; 1 failure; 2 wrong command line; 130 Ctrl-C.
rbees-workerd ask --help-all lists all flags of a request.
`;

export const askCommand: Command = {
  help: () => HELP,
  helpAll: () => {
    const rows = requestFlags().map(({ name, kind, description }) => {
      const value = {
        number: ' <n>',
        boolean: '',
        text: ' <text>',
        list: ' <text> …',
        json: ' <file>',
        word: ' <word>',
      };
      return `  --${name}${value[kind]}\n      ${description}`;
    });
    return `${HELP}
Further flags
  --no-save
      keep neither the conversation for --continue nor the questions of a chat
  --think, --no-think
      the same as --enable-thinking and --no-enable-thinking

Fields of the request. <file> is a JSON file, or JSON. Repeat a flag with … for several texts.
${rows.join('\n')}
`;
  },
  run: ask,
};
