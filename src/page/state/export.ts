/** A conversation as files: with its branches and its narration as JSON, or to read as Markdown. Pure. */
import type { Health } from '../../contract/answers.ts';
import { counted, duration } from '../text/format.ts';
import type { Conversation, Turn } from './conversation.ts';
import type { Parameters } from './parameters.ts';

export interface Exported {
  readonly conversation: Conversation;
  readonly parameters: Parameters;
  readonly health: Health | undefined;
  readonly now: Date;
}

/** The name of the format in a file of JSON. */
export const FORMAT = 'rbees-conversation';

/** All branches with the narration of every answer. */
export function exportJson({ conversation, parameters, health, now }: Exported): string {
  const worker = health && { model: health.model, device: health.device, version: health.version };
  const file = {
    format: FORMAT,
    version: 1,
    exported_at: now.toISOString(),
    worker,
    parameters,
    ...conversation.data,
  };
  return JSON.stringify(file, undefined, 2);
}

/** The shown branches, each answer with its narration. */
export function exportMarkdown({ conversation, parameters, health, now }: Exported): string {
  const title = `# Conversation with ${health?.model ?? 'a worker'}, ${now.toISOString()}`;
  const system = parameters['system'] ?? '';
  const blocks = conversation.path.map(markdownOf);
  return `${[title, ...(system === '' ? [] : [`**System**\n\n${system}`]), ...blocks].join('\n\n')}\n`;
}

function markdownOf(turn: Turn): string {
  if (turn.kind === 'user') return `## You\n\n${turn.text}`;
  if (turn.kind === 'results')
    return turn.results.map(({ name, content }) => `## Result of ${name}\n\n${fenced(content)}`).join('\n\n');
  const { text, reasoning, calls, story, failure } = turn.answer;
  const parts = [
    '## Answer',
    reasoning && `<details><summary>Reasoning</summary>\n\n${fenced(reasoning)}\n\n</details>`,
    text,
    ...calls.map(({ name, arguments: args }) => `Tool call \`${name}\`\n\n${fenced(args)}`),
    failure && `*${failure.message}* (\`${failure.code}\`)`,
    story.end && `*${counted(story.end.tokens_out, 'token')}, seed ${story.end.seed}*`,
    '### The story of this answer',
    story.sentences.map(({ at, human, cute }) => `- ${duration(at)}: ${human}${cute ? ` — ${cute}` : ''}`).join('\n'),
  ];
  return parts.filter(Boolean).join('\n\n');
}

/** A fence that the text does not contain. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
