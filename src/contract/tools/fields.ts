/**
 * The fields of tools and of reasoning, which `POST /execute` and `POST /v1/chat/completions` share. A worker
 * loads this file at its start, so the schemas are made at their first use.
 */
import { z } from 'zod';
import { lazy } from '../../protocol/start/lazy.ts';
import { objectWithNulls } from '../absent.ts';
import { FORMS, typeOf } from '../openai/chosen-form.ts';
import { named, text } from '../schema.ts';

/** Limits that no setting changes. Lengths in characters (Unicode code points). */
export const TOOL_LIMITS = {
  tools: 128,
  /** Tool calls of one message. */
  calls: 128,
  /** Characters of the name of a function. */
  nameChars: 128,
  /** Characters of the id of a call in a message. */
  idChars: 256,
  effortChars: 64,
} as const;

/** The end of the sentence "tool_choice must be …". */
export const TOOL_CHOICE_RULE = 'none, auto, required, or {type: function, function: {name}}';

/** The end of the sentence "tool_calls must be …". */
export const CALLS_RULE = `up to ${TOOL_LIMITS.calls} of {id, type: function, function: {name, arguments: string}}`;

/** A call in a message of the assistant. */
export const toolCall = lazy(() =>
  named(
    'ToolCall',
    objectWithNulls({
      id: z.string().max(TOOL_LIMITS.idChars).optional().meta({ description: 'Id of the call' }),
      type: z.literal('function').optional().meta({ description: 'Type of the tool' }),
      function: objectWithNulls({
        name: text().meta({ description: 'Name of the function' }),
        arguments: text().meta({ description: 'JSON text of an object. Any other text is passed on as it is' }),
      }).meta({ description: 'The call' }),
    }).meta({ description: 'A call that the assistant made earlier' }),
  ),
);

/** A function of `tools`. */
export const chatFunction = lazy(() =>
  named(
    'ChatFunction',
    objectWithNulls({
      name: z
        .string()
        .regex(new RegExp(`^[\\w.:/-]{1,${TOOL_LIMITS.nameChars}}$`), {
          error: `1 to ${TOOL_LIMITS.nameChars} letters, digits and _ - . : /`,
        })
        .meta({ description: 'Name of the function' }),
      description: text().optional().meta({ description: 'Purpose of the function, for the model' }),
      parameters: z.record(z.string(), z.unknown()).optional().meta({ description: 'JSON Schema of the arguments' }),
      strict: z.boolean().optional().meta({ description: 'true: the arguments of every call match `parameters`' }),
    }).meta({ description: 'A function that the client runs' }),
  ),
);

/** A tool of the type `function`, for the search of unknown fields. */
const functionTool = lazy(() => z.object({ type: z.string(), function: chatFunction() }));

/** Loose: the parser checks functions, and lists tools of other types. */
const tool = lazy(() =>
  z
    .looseObject({
      type: z.string().meta({ description: '`function`. A tool of another type is skipped, and a narration lists it' }),
      function: z.unknown().optional().meta({ description: 'The function', $ref: '#/components/schemas/ChatFunction' }),
    })
    .register(FORMS, { choose: (value) => (typeOf(value) === 'function' ? functionTool() : undefined) }),
);

const toolChoice = lazy(() =>
  z.union(
    [
      z.enum(['none', 'auto', 'required']),
      z.object({
        type: z.literal('function').meta({ description: 'The model must call one function' }),
        function: z
          .object({ name: z.string().meta({ description: 'Name of a function of `tools`' }) })
          .meta({ description: 'The function' }),
      }),
    ],
    { error: TOOL_CHOICE_RULE },
  ),
);

/** The fields that offer tools to the model. */
export const toolFields = () => ({
  tools: z.array(tool()).max(TOOL_LIMITS.tools).optional().meta({ description: 'Functions that the model may call' }),
  tool_choice: toolChoice()
    .optional()
    .meta({
      description: `${TOOL_CHOICE_RULE}. \`none\`: the model is offered no tool. Default: \`auto\``,
    }),
  parallel_tool_calls: z
    .boolean()
    .optional()
    .meta({ description: 'false: the output ends after its first tool call. Default: true' }),
});

/** The fields that ask for reasoning. */
export const reasoningFields = () => ({
  enable_thinking: z
    .boolean()
    .optional()
    .meta({ description: 'Variable of the chat template that turns reasoning on or off' }),
  reasoning_effort: z.string().min(1).max(TOOL_LIMITS.effortChars).optional().meta({
    description:
      'Variable of the chat template, such as `low`. `none` and `minimal` also set `enable_thinking` to false',
  }),
});

type Output<T> = { readonly [N in keyof T]: T[N] extends { readonly _output: infer O } ? O : never };
/** The checked fields that offer tools to the model. */
export type ToolFields = Partial<Output<ReturnType<typeof toolFields>>>;
