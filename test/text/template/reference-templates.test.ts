/** Prompts equal those of the transformers library's Jinja, which tools/chat_templates/render.py recorded. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { JinjaTemplate } from '../../../src/text/template/jinja/jinja.ts';

interface Case {
  readonly template: string;
  readonly conversation: string;
  readonly prompts: boolean;
  /** Further variables of the template: tools, a date, a switch. */
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly text?: string;
  /** Message of `raise_exception`; empty if Python failed instead. */
  readonly refused?: string;
}
const recorded: {
  readonly now: string;
  readonly tokens: Record<string, string>;
  /** Family that a template imitates, by template name. */
  readonly manners: Record<string, string>;
  readonly templates: Record<string, string>;
  readonly conversations: Record<string, unknown>;
  readonly cases: readonly Case[];
} = JSON.parse(readFileSync(new URL('../fixtures/chat-templates.json', import.meta.url), 'utf8'));

beforeAll(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date(recorded.now) });
});
afterAll(() => {
  vi.useRealTimers();
});

function outcome({ template, conversation, prompts, variables: more }: Case): Pick<Case, 'text' | 'refused'> {
  const messages = recorded.conversations[conversation];
  const given = { tools: null, documents: null, ...more };
  const variables = { ...recorded.tokens, messages, add_generation_prompt: prompts, ...given };
  try {
    return { text: new JinjaTemplate(recorded.templates[template]!).render(variables) };
  } catch (error) {
    return { refused: (error as Error).message };
  }
}

function titleOf({ conversation, prompts, variables = {} }: Case): string {
  const names = [...Object.keys(variables), ...(prompts ? [] : ['no prompt for an answer'])];
  return `the conversation "${conversation}"${names.length > 0 ? `, with ${names.join(' and ')}` : ''}`;
}

describe.each(Object.entries(recorded.manners))('the template %s, in the style of %s,', (name) => {
  it.each(
    recorded.cases
      .filter(({ template }) => template === name)
      .map((recording) => [titleOf(recording), recording] as const),
  )('renders as transformers does %s', (_, recording) => {
    const { text, refused } = outcome(recording);
    expect(text).toBe(recording.text);
    if (recording.refused) expect(refused).toBe(recording.refused);
  });
});

it('the recordings cover every template, prompts and refusals', () => {
  expect(Object.keys(recorded.manners).sort()).toEqual(Object.keys(recorded.templates).sort());
  expect(recorded.cases.filter(({ text }) => text).length).toBeGreaterThan(150);
  expect(recorded.cases.filter(({ refused }) => refused).length).toBeGreaterThan(10);
});
