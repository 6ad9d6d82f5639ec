/**
 * What a decoder takes and gives, read from the session's own metadata: names, types and shapes, never assumed from a configuration file.
 * A model this engine cannot drive is refused here, with the name of what is in the way. Pure, but for `readPorts`.
 */
import { ELEMENT_TYPES, FLOAT32, INT64, type OrtApi, type Pointer, readText } from './api.ts';
import { KEEP_INPUT } from './last-logits.ts';

/** One input or output. Dimensions that the model leaves open are -1. */
export interface Port {
  readonly name: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  readonly shape: readonly number[];
}

/** One of the two caches of a layer: read under the name `past`, written under the name `present`. */
export interface CachePort {
  readonly past: string;
  readonly present: string;
}

/** A decoder that updates its cache in place. */
export interface Signature {
  /** Keys and values of all layers, in the order of the model's inputs. */
  readonly caches: readonly CachePort[];
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  /** Whether it is told how many last positions to give logits of, by the input `num_logits_to_keep`. */
  readonly keepsLast: boolean;
  /** Shape of that input: `[]` or `[1]`. */
  readonly keepShape: readonly number[];
}

const PAST = /^past_key_values\.(\d+)\.(key|value)$/;

/**
 * @param inputs as `readPorts` read them; `input_ids` and `attention_mask` int64, `past_key_values.N.key|value` float32 `[rows, kvHeads, past, headDim]`,
 * and perhaps `num_logits_to_keep` int64 `[]` or `[1]`.
 * @param outputs `logits` float32 `[rows, tokens, vocab]` and a `present.N.key|value` for each past.
 * @throws Error naming the input or output that is missing, unknown or of another type.
 */
export function readSignature(inputs: readonly Port[], outputs: readonly Port[]): Signature {
  for (const name of ['input_ids', 'attention_mask']) expectType(find(inputs, 'input', name), INT64);
  const logits = find(outputs, 'output', 'logits');
  expectType(logits, FLOAT32);
  const vocabSize = logits.shape[2] ?? -1;
  if (logits.shape.length !== 3 || vocabSize < 1)
    throw refusal(logits, 'has no fixed vocabulary as its last dimension');

  const caches: CachePort[] = [];
  let sizes: { kvHeads: number; headDim: number } | undefined;
  for (const input of inputs) {
    if (input.name === 'input_ids' || input.name === 'attention_mask' || input.name === KEEP_INPUT) continue;
    const match = PAST.exec(input.name);
    if (!match) throw new Error(`The model has an input that this engine does not know: ${input.name}`);
    expectType(input, FLOAT32);
    const [, kvHeads = -1, , headDim = -1] = input.shape;
    if (input.shape.length !== 4 || kvHeads < 1 || headDim < 1)
      throw refusal(input, 'is not [rows, kv heads, past, head]');
    sizes ??= { kvHeads, headDim };
    if (sizes.kvHeads !== kvHeads || sizes.headDim !== headDim)
      throw refusal(input, 'differs in size from the first cache');
    const present = find(outputs, 'output', `present.${match[1]}.${match[2]}`);
    expectType(present, FLOAT32);
    caches.push({ past: input.name, present: present.name });
  }
  if (!sizes) throw new Error('The model has no past_key_values inputs: a decoder without a cache is not supported');
  const keepShape = readKeepShape(inputs);
  const layers = Math.ceil(caches.length / 2);
  return { caches, layers, ...sizes, vocabSize, keepsLast: keepShape !== undefined, keepShape: keepShape ?? [] };
}

/** Of the input that says how many positions are wanted; undefined without one. */
function readKeepShape(inputs: readonly Port[]): number[] | undefined {
  const input = inputs.find((candidate) => candidate.name === KEEP_INPUT);
  if (!input) return undefined;
  expectType(input, INT64);
  if (input.shape.length > 1 || Math.abs(input.shape[0] ?? 1) !== 1) throw refusal(input, 'is not one number');
  return input.shape.map(() => 1);
}

function find(ports: readonly Port[], side: string, name: string): Port {
  const port = ports.find((candidate) => candidate.name === name);
  if (!port) throw new Error(`The model has no ${side} ${name}`);
  return port;
}

function expectType(port: Port, type: number): void {
  const name = (number: number) => ELEMENT_TYPES[number] ?? `type ${number}`;
  if (port.type !== type) throw new Error(`${port.name} is ${name(port.type)}: only ${name(type)} is supported`);
}

const refusal = (port: Port, why: string): Error => new Error(`${port.name} ${why}: [${port.shape.join(', ')}]`);

/** The inputs or outputs of an open session, in the model's order. */
export function readPorts(api: OrtApi, session: Pointer, side: 'inputs' | 'outputs'): Port[] {
  const inputs = side === 'inputs';
  const count = inputs ? api.sessionGetInputCount(session) : api.sessionGetOutputCount(session);
  const allocator = api.getAllocatorWithDefaultOptions();
  return Array.from({ length: Number(count) }, (_, index) => {
    const text = (inputs ? api.sessionGetInputName : api.sessionGetOutputName)(session, index, allocator);
    const name = readText(text);
    api.allocatorFree(allocator, text);
    const info = (inputs ? api.sessionGetInputTypeInfo : api.sessionGetOutputTypeInfo)(session, index);
    try {
      return { name, ...readTensorInfo(api, info, name) };
    } finally {
      api.releaseTypeInfo(info);
    }
  });
}

/** Element type and dimensions. The tensor's info belongs to `info` and is not released. */
function readTensorInfo(api: OrtApi, info: Pointer, name: string): Omit<Port, 'name'> {
  const tensor = api.castTypeInfoToTensorInfo(info);
  if (!tensor) throw new Error(`${name} is not a tensor`);
  const type = api.getTensorElementType(tensor);
  const rank = Number(api.getDimensionsCount(tensor));
  const dimensions = new BigInt64Array(rank);
  api.getDimensions(tensor, dimensions, rank);
  return { type, shape: Array.from(dimensions, Number) };
}
