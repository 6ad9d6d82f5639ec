/** Profiles of the templates that the tests of Jinja use: old families, and templates that only look like others. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeProfile } from '../../../src/text/tools/output-profile.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { familyTemplate, templateOf } from './families.ts';

const { templates }: { readonly templates: Record<string, string> } = JSON.parse(
  readFileSync(new URL('../fixtures/chat-templates.json', import.meta.url), 'utf8'),
);

describe('the profile', () => {
  it.each([
    ['qwen25', 'json', 'none', 'any'],
    ['qwen3', 'json', 'optional', 'any'],
    ['llama31', 'json', 'none', 'any'],
    ['mistral', 'json', 'none', 'first'],
    ['deepseek', 'generic', 'forced', 'any'],
    ['gemma', 'generic', 'none', 'none'],
    ['gemma3', 'generic', 'none', 'first'],
    ['llama2', 'generic', 'none', 'first'],
    ['smollm2', 'generic', 'none', 'any'],
    ['zephyr', 'generic', 'none', 'any'],
    ['python', 'generic', 'none', 'any'],
  ] as const)('of %s has the style %s and the reasoning %s', (name, tools, reasoning, system) => {
    const profile = profileOf(templateOf(templates[name] ?? ''));
    expect(describeProfile(profile)).toMatchObject({ tools, reasoning });
    expect(profile.system).toBe(system);
  });

  it('of a template that writes calls and refuses results has calls as texts', () => {
    const profile = profileOf(templateOf(templates['mistral'] ?? ''));
    expect([profile.writesCalls, profile.writesResults]).toEqual([false, false]);
  });

  it('is derived once for a template', () => {
    const template = familyTemplate('hermes');
    expect(profileOf(template)).toBe(profileOf(template));
  });

  it('has the exact texts by which an answer begins with a call', () => {
    const starts = ['hermes', 'mistral-small', 'kimi-k2', 'glm45', 'gemma4'].map((name) => {
      const { calls } = profileOf(familyTemplate(name));
      return `${calls.opening}NAME${calls.afterName}`;
    });
    expect(starts).toEqual([
      '<tool_call>\n{"name": "NAME", "arguments":',
      '[TOOL_CALLS]NAME[CALL_ID]',
      '<|tool_calls_section_begin|><|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>',
      '<tool_call>NAME\n',
      '<|tool_call>call:NAME{',
    ]);
  });

  it('lists every marker that can be a special token', () => {
    expect(profileOf(familyTemplate('mistral-small')).markers.all).toEqual(['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]']);
    expect(profileOf(familyTemplate('plain')).markers).toEqual({ reasoning: [], all: [] });
  });
});
