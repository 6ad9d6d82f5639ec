/**
 * Reads the messages of gpt-oss. A message has a header, `<|message|>`, a body and an end. The header names
 * the channel: `analysis` is reasoning, `commentary to=functions.NAME` a call, and all others are the answer.
 * Pure.
 */
import type { CallContext } from './calls.ts';
import { MAX_NAME_UNITS, type Reading, Stops } from './input.ts';
import { copyObject, JSON_NOTATION } from './notation.ts';

const START = '<|start|>';
const CHANNEL = '<|channel|>';
const MESSAGE = '<|message|>';
const CONSTRAIN = '<|constrain|>';
const ENDS = ['<|end|>', '<|call|>', '<|return|>'];
/** All markers of the format. */
export const HARMONY_MARKERS = [START, CHANNEL, MESSAGE, CONSTRAIN, ...ENDS];
/** UTF-16 units of the longest header. */
export const MAX_HEADER_UNITS = 2 * MAX_NAME_UNITS;

const BODY_END = new Stops([...ENDS, START, CHANNEL]);
const HEADER_END = new Stops([MESSAGE, ...ENDS]);

/** Reads messages up to the end of the output. */
export function* readHarmony(context: CallContext): Reading<void> {
  const { input, parts } = context;
  const content = (text: string): void => {
    parts.settle();
    parts.text('content', text);
  };
  for (;;) {
    yield* input.space();
    if (input.char === '') break;
    if (yield* isHeader(context)) {
      const header = yield* headerOf(context);
      if (header === undefined) {
        parts.asContent();
        yield* input.until(BODY_END, content);
      } else yield* body(context, header, content);
    } else {
      parts.asContent();
      yield* input.until(BODY_END, content);
    }
    for (const end of ENDS)
      if (yield* input.literal(end)) {
        parts.settle();
        parts.reasoning = false;
      }
    // The end of the output cuts a marker.
    if (input.ended && input.ranOut) input.at = input.text.length;
    if (parts.done || !(yield* input.more())) break;
  }
  parts.settle();
}

/** True if a header follows: an answer may have no markers. Reads nothing. */
function* isHeader({ input }: CallContext): Reading<boolean> {
  const { held } = input;
  for (const begin of [START, CHANNEL, MESSAGE, 'to=']) {
    const follows = yield* input.literal(begin);
    input.at = input.mark + held;
    if (follows) return true;
  }
  return false;
}

/** Reads a header. Undefined if it has no end. */
function* headerOf({ input }: CallContext): Reading<string | undefined> {
  let length = 0;
  for (;;) {
    const { text, at, ended } = input;
    const { position, stop } = HEADER_END.find(text, at + length, ended);
    length = position - at;
    if (length > MAX_HEADER_UNITS) {
      input.at = at + MAX_HEADER_UNITS;
      return undefined;
    }
    if (stop === MESSAGE) {
      input.at = position + MESSAGE.length;
      return text.slice(at, position);
    }
    if (stop !== undefined || ended) {
      input.at = position;
      return undefined;
    }
    yield;
  }
}

function* body(context: CallContext, header: string, content: (text: string) => void): Reading<void> {
  const { input, parts, parallel } = context;
  const recipient = /(?:^|[\s>])to=([^\s<]+)/.exec(header)?.[1];
  if (recipient !== undefined) {
    const tool = parts.toolOf(recipient);
    if (tool && (yield* input.marker(['{']))) {
      const { calls } = parts;
      const write = parts.beginner(tool.name);
      const complete = yield* copyObject(input, JSON_NOTATION, { write, ends: ENDS });
      if (complete && !parallel) parts.done = true;
      if (complete) {
        yield* input.space();
        parts.settle();
        return;
      }
      if (input.ended && input.ranOut && parts.calls > calls) {
        if (input.complete) parts.unparsed += 1;
        input.at = input.text.length;
        parts.settle();
        return;
      }
    }
    // The header is content too: the request offers no such call.
    if (parts.offersTools) parts.unparsed += 1;
    parts.asContent();
    yield* input.until(BODY_END, content);
    return;
  }
  const kind = /<\|channel\|>\s*analysis/.test(header) ? 'reasoning' : 'content';
  parts.settle();
  parts.reasoning = kind === 'reasoning';
  yield* input.until(BODY_END, (text) => {
    parts.settle();
    parts.text(kind, text);
  });
}
