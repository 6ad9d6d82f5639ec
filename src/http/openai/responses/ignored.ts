/** The known fields of a request to `/v1/responses` whose values have no effect. Pure. */
import type { ResponsesRequest } from '../../../contract/openai/responses/body.ts';
import { shownText } from '../../validate.ts';

/** The value of `include` that asks for log-probabilities. */
export const LOGPROBS = 'message.output_text.logprobs';

/** Maximum entries of `include` that are named. */
const MAX_INCLUDED = 32;

/** The texts of `metadata`, which the answer repeats. */
export function textsIn(metadata: unknown): Readonly<Record<string, string>> {
  if (!isObject(metadata)) return {};
  const texts = Object.entries(metadata).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts);
}

/** Names of the fields that a body has with a value without an effect, for the narration. */
export function ignoredFields(body: ResponsesRequest, model: string): string[] {
  const { stream_options: streamOptions } = body;
  const ignored: Readonly<Record<string, boolean>> = {
    model: body.model !== undefined && body.model !== model,
    store: isNot(body.store, false),
    truncation: isNot(body.truncation, 'disabled'),
    max_tool_calls: body.max_tool_calls !== undefined,
    service_tier: isNot(body.service_tier, 'default', 'auto'),
    stream_options: isNot(streamOptions) && !isObject(streamOptions),
    'stream_options.include_obfuscation':
      isObject(streamOptions) && isNot(streamOptions['include_obfuscation'], false, null),
    client_metadata: body.client_metadata !== undefined,
    metadata: hasOthers(body.metadata),
    user: isNoText(body.user),
    safety_identifier: isNoText(body.safety_identifier),
    prompt_cache_key: isNoText(body.prompt_cache_key),
    'reasoning.summary': body.reasoning?.summary !== undefined,
    'text.verbosity': body.text?.verbosity !== undefined,
  };
  const fields = Object.entries(ignored).flatMap(([field, isIgnored]) => (isIgnored ? [field] : []));
  return [...fields, ...includedIn(body.include)];
}

/** The entries of `include` without an effect. */
function includedIn(include: unknown): string[] {
  if (include === undefined) return [];
  if (!Array.isArray(include)) return ['include'];
  return include.slice(0, MAX_INCLUDED).flatMap((value: unknown, index) => {
    if (value === LOGPROBS || value === null) return [];
    return typeof value === 'string' ? [`include[${index}] (${shownText(value)})`] : [`include[${index}]`];
  });
}

/** True for a value that is present and differs from these. */
const isNot = (value: unknown, ...usual: readonly unknown[]): boolean => value !== undefined && !usual.includes(value);

const isNoText = (value: unknown): boolean => value !== undefined && typeof value !== 'string';

/** True if `metadata` has values that the answer cannot repeat. An entry that is null counts as absent. */
function hasOthers(metadata: unknown): boolean {
  if (!isObject(metadata)) return metadata !== undefined;
  return Object.values(metadata).some((value) => value !== null && typeof value !== 'string');
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
