/**
 * Formats of calls that a rendering does not show: families by their markers, and the generic format. Pure.
 */
import type { CallFormat, ReasoningFormat } from '../output-profile.ts';

const NONE = { sectionOpen: '', sectionClose: '', callOpen: '', callClose: '', list: false, parallel: true };
const JSON_KEYS = { style: 'json', nameKey: 'name', argumentsKey: 'arguments' } as const;
const JSON_NAME = { opening: '{"name": "', afterName: '", "arguments":' };

/** For templates without tools: `{"tool_calls": [{"name": …, "arguments": {…}}]}` is the whole answer. */
export const GENERIC: CallFormat = {
  ...NONE,
  ...JSON_KEYS,
  wrapper: 'tool_calls',
  opening: '{"tool_calls": [{"name": "',
  afterName: '", "arguments":',
};

/** The messages of gpt-oss. */
export const HARMONY: CallFormat = {
  ...NONE,
  style: 'harmony',
  callOpen: '<|channel|>commentary to=functions.',
  callClose: '<|call|>',
  opening: '<|channel|>commentary to=functions.',
  afterName: ' <|constrain|>json<|message|>',
  parallel: false,
};

export const HARMONY_REASONING: ReasoningFormat = {
  open: '<|channel|>analysis',
  close: '<|end|>',
  closing: '<|end|><|start|>assistant',
  forced: false,
};

const HERMES: CallFormat = {
  ...NONE,
  ...JSON_KEYS,
  callOpen: '<tool_call>',
  callClose: '</tool_call>',
  opening: `<tool_call>\n${JSON_NAME.opening}`,
  afterName: JSON_NAME.afterName,
};

/** Formats by markers: the first marker in the text of a template decides. */
const BY_MARKER: readonly (readonly [string, CallFormat])[] = [
  [
    '<|tool_list_start|>',
    {
      ...NONE,
      style: 'pythonic',
      sectionOpen: '<|tool_call_start|>',
      sectionClose: '<|tool_call_end|>',
      list: true,
      opening: '<|tool_call_start|>[',
      afterName: '(',
    },
  ],
  [
    '<|tool|>',
    {
      ...NONE,
      ...JSON_KEYS,
      sectionOpen: 'functools',
      list: true,
      opening: `functools[${JSON_NAME.opening}`,
      afterName: JSON_NAME.afterName,
    },
  ],
  ['<tool_call>', HERMES],
  [
    '<function_calls>',
    {
      ...NONE,
      style: 'pythonic',
      sectionOpen: '<function_calls>',
      sectionClose: '</function_calls>',
      opening: '<function_calls>',
      afterName: '(',
    },
  ],
  [
    '[ARGS]',
    {
      ...NONE,
      style: 'named',
      callOpen: '[TOOL_CALLS]',
      idMarker: '[CALL_ID]',
      separator: '[ARGS]',
      nameInId: false,
      opening: '[TOOL_CALLS]',
      afterName: '[ARGS]',
    },
  ],
  [
    '[TOOL_CALLS]',
    {
      ...NONE,
      ...JSON_KEYS,
      sectionOpen: '[TOOL_CALLS]',
      list: true,
      opening: `[TOOL_CALLS] [${JSON_NAME.opening}`,
      afterName: JSON_NAME.afterName,
    },
  ],
];

/** The format of a template whose text has the marker of a family. */
export function formatByMarker(text: string): CallFormat | undefined {
  return BY_MARKER.find(([marker]) => text.includes(marker))?.[1];
}
