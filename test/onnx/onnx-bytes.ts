/** Small .onnx files for tests, written field by field. They have names and lengths, but compute nothing. */

/** A tensor of the graph; with `external`, its data is in another file. */
export interface Tensor {
  /** TensorProto.DataType: 1 is float, 10 half float, 2 uint8, 21 uint4. */
  readonly type?: number;
  readonly dimensions?: readonly number[];
  /** Data in the graph itself. */
  readonly raw?: Uint8Array;
  /** `location`, and optionally `offset` and `length`. */
  readonly external?: Readonly<Record<string, string>>;
}

export interface Graph {
  readonly tensors?: readonly Tensor[];
  /** Operators of the nodes, by name, optionally with `bits`. */
  readonly operators?: readonly { readonly name: string; readonly bits?: number }[];
  /** Values of Constant nodes. */
  readonly constants?: readonly Tensor[];
  /** Graphs inside If nodes. */
  readonly inside?: readonly Graph[];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
const number = (field: number, value: number): Buffer => Buffer.from([...varint(field * 8), ...varint(value)]);
const bytes = (field: number, ...content: readonly (Uint8Array | string)[]): Buffer => {
  const all = Buffer.concat(content.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(all.length)]), all]);
};

function tensorBytes({ type = 1, dimensions = [], raw, external }: Tensor): Buffer {
  const pairs = Object.entries(external ?? {}).map(([key, value]) => bytes(13, bytes(1, key), bytes(2, value)));
  return Buffer.concat([
    bytes(1, Buffer.from(dimensions.flatMap(varint))),
    number(2, type),
    bytes(8, 'weight'),
    ...(raw ? [bytes(9, raw)] : []),
    ...pairs,
    ...(external ? [number(14, 1)] : []),
  ]);
}

function graphBytes({ tensors = [], operators = [], constants = [], inside = [] }: Graph): Buffer {
  const attribute = (name: string, ...value: Buffer[]): Buffer => bytes(5, bytes(1, name), ...value);
  const nodes = operators.map(({ name, bits }) =>
    bytes(1, bytes(1, 'x'), bytes(4, name), ...(bits === undefined ? [] : [attribute('bits', number(3, bits))])),
  );
  const values = constants.map((value) =>
    bytes(1, bytes(4, 'Constant'), attribute('value', bytes(5, tensorBytes(value)))),
  );
  const branches = inside.map((graph) =>
    bytes(1, bytes(4, 'If'), attribute('then_branch', bytes(6, graphBytes(graph)))),
  );
  return Buffer.concat([...nodes, ...values, ...branches, ...tensors.map((tensor) => bytes(5, tensorBytes(tensor)))]);
}

/** A ModelProto. */
export function onnxBytes(graph: Graph = {}): Buffer {
  return Buffer.concat([number(1, 10), bytes(7, graphBytes(graph)), bytes(8, number(2, 21))]);
}

/** A ModelProto with weights in these files, each with the given length. */
export function onnxNaming(files: Readonly<Record<string, number>>): Buffer {
  const tensors = Object.entries(files).map(([location, length]) => ({
    external: { location, length: String(length) },
  }));
  return onnxBytes({ tensors });
}
