/**
 * The table of device kinds: plain data and pure functions. A new kind is an entry here and a file in
 * `engine/devices/`; the compiler reports the other tables that need an entry. Only the engine knows whether
 * a device opens.
 */

/** The properties of a kind of device that both processes use. */
interface DeviceTraits {
  /** The kind has several devices: `--device cuda:1` selects `cuda-1`, and `cuda` is `cuda-0`. */
  readonly numbered: boolean;
  /** Position in the order of `--device auto`, fastest first. */
  readonly autoRank: number;
  /** Platforms and architectures (as Node names them) for which the runtime has the execution provider. */
  readonly platforms: RegExp;
  /**
   * The kind's GroupQueryAttention accepts half floats only, so that results are rounded to half floats with
   * any weights. With float32, the runtime would compute attention on the host, and not use the cache on the
   * device.
   */
  readonly halfAttention: boolean;
  /** The event that is narrated when the model is opened on such a device. */
  readonly event: `device.${string}`;
}

const ANY_PLATFORM = /^/;

/** The devices, in the order of the help text. */
export const DEVICES = {
  cpu: { numbered: false, autoRank: 4, platforms: ANY_PLATFORM, halfAttention: false, event: 'device.cpu' },
  cuda: { numbered: true, autoRank: 1, platforms: /^(linux|win32) x64$/, halfAttention: true, event: 'device.cuda' },
  webgpu: { numbered: false, autoRank: 2, platforms: ANY_PLATFORM, halfAttention: false, event: 'device.webgpu' },
  // After WebGPU: Core ML's execution provider has no attention with a KV cache, so attention runs on the
  // host.
  coreml: { numbered: false, autoRank: 3, platforms: /^darwin /, halfAttention: false, event: 'device.metal' },
} as const satisfies Readonly<Record<string, DeviceTraits>>;

export type DeviceKind = keyof typeof DEVICES;
type NumberedKind = { [K in DeviceKind]: (typeof DEVICES)[K]['numbered'] extends true ? K : never }[DeviceKind];

/** The name of one device: `cpu`, `cuda-0`, `cuda-1`, …, `webgpu`, `coreml`. */
export type DeviceName = Exclude<DeviceKind, NumberedKind> | `${NumberedKind}-${number}`;

/** The device that every machine has. Other devices are checked against it. */
export const CPU: DeviceName = 'cpu';

export const isCpu = (device: DeviceName): boolean => device === CPU;

const isKind = (text: string): text is DeviceKind => Object.hasOwn(DEVICES, text);
const isNumbered = (kind: DeviceKind): kind is NumberedKind => DEVICES[kind].numbered;

/** All kinds, in the order of `--device auto`. */
export const DEVICE_KINDS: readonly DeviceKind[] = Object.keys(DEVICES)
  .filter(isKind)
  .sort((one, other) => DEVICES[one].autoRank - DEVICES[other].autoRank);

/** The name of a device; `index` counts the devices of a numbered kind from 0. */
export const deviceName = (kind: DeviceKind, index = 0): DeviceName => (isNumbered(kind) ? `${kind}-${index}` : kind);

/** @throws Error for a name that is not in the table. */
export function kindOf(device: DeviceName): DeviceKind {
  const kind = device.replace(/-\d+$/, '');
  if (isKind(kind)) return kind;
  throw new Error(`Unknown device ${device}; known: ${Object.keys(DEVICES).join(', ')}`);
}

/** The index of a device among those of its kind: 1 for `cuda-1`, 0 for a kind that is not numbered. */
export const indexOf = (device: DeviceName): number => Number(/-(\d+)$/.exec(device)?.[1] ?? 0);

/**
 * An attribute or an input that the implementation of an operator on a device ignores: a model that uses it
 * would generate wrong text, without an error.
 */
export interface IgnoredAttribute {
  /** '' for the standard operators. */
  readonly domain: string;
  readonly operator: string;
  /** The name of the attribute, or of the input. */
  readonly attribute: string;
  /** The value without effect, which is also the value of an absent attribute. */
  readonly neutral: number;
  /** Index of the input, for an ignored input. Without effect is an absent input. */
  readonly input?: number;
  /** Absent: always. `graph_capture`: only while the device records a run and replays its commands. */
  readonly only?: 'graph_capture';
}

const MICROSOFT = 'com.microsoft';
const GROUP_QUERY = { domain: MICROSOFT, operator: 'GroupQueryAttention' } as const;

/**
 * The table (operator, attribute) for each kind of device.
 *
 * WebGPU: measured with ONNX Runtime 1.30.0 against the CPU, as root mean square of the difference divided by
 * that of the CPU's result: softcap 0.75 to 1.1, positions 1.2; Attention with and without `do_rotary` gives
 * the same numbers. All other attributes of the operators that decoders use agree within 1e-6
 * (`operators.webgpu.test.ts`).
 *
 * CUDA and Core ML: read in the source of version 1.29, not tried. CUDA's GroupQueryAttention passes each
 * attribute to a kernel that computes it, or returns an error. Core ML has no operator for attention with a
 * KV cache, and leaves a node with an attribute that it does not know to the CPU.
 */
const IGNORED: Readonly<Record<DeviceKind, readonly IgnoredAttribute[]>> = {
  cpu: [],
  cuda: [],
  webgpu: [
    { ...GROUP_QUERY, attribute: 'softcap', neutral: 0 },
    // Under graph capture, the operator reads the length of the cache on the device.
    { ...GROUP_QUERY, attribute: 'local_window_size', neutral: -1, only: 'graph_capture' },
    // The rotary embedding takes the positions from the lengths of the rows.
    { ...GROUP_QUERY, attribute: 'position_ids', neutral: 0, input: 9 },
    { domain: MICROSOFT, operator: 'Attention', attribute: 'do_rotary', neutral: 0 },
  ],
  coreml: [],
};

/**
 * The attributes that operators of a kind of device ignore.
 * @param graphCapture true if the device records the commands of a run and replays them
 */
export const ignoredBy = (kind: DeviceKind, graphCapture = false): readonly IgnoredAttribute[] =>
  IGNORED[kind].filter(({ only }) => only === undefined || graphCapture);

const AUTO = 'auto';
const flagOf = (kind: string, numbered: boolean): string => (numbered ? `${kind}(?::\\d{1,2})?` : kind);

/** Accepted values of `--device`. */
export const DEVICE_FLAG = new RegExp(
  `^(?:${[AUTO, ...Object.entries(DEVICES).map(([kind, { numbered }]) => flagOf(kind, numbered))].join('|')})$`,
);

/** The values of `--device`, for the help text. */
export const DEVICE_FLAG_HELP = [
  AUTO,
  ...Object.entries(DEVICES).flatMap(([kind, { numbered }]) => (numbered ? [kind, `${kind}:1`] : [kind])),
].join(', ');

/** The value of `--device` that selects a device: `cuda:1` for `cuda-1`. */
export const flagFor = (device: DeviceName): string => device.replace(/-(\d+)$/, ':$1');

/** The machine of the worker, as Node names it. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/**
 * The device that a value of `--device` selects; undefined for `auto`.
 * @throws Error for a value that {@link DEVICE_FLAG} does not accept.
 */
export function deviceOf(choice: string): DeviceName | undefined {
  if (choice === AUTO) return undefined;
  const [kind = '', index = '0'] = choice.split(':');
  if (isKind(kind)) return deviceName(kind, Number(index));
  throw new Error(`Unknown device ${choice}; known: ${DEVICE_FLAG_HELP}`);
}

/**
 * The devices to try, fastest first; the last one is the CPU.
 * @param choice the setting `--device`: `auto`, or one device, which is then the only one.
 */
export function devicesToTry(choice: string, { platform, arch }: Machine = process): readonly DeviceName[] {
  const device = deviceOf(choice);
  if (device !== undefined) return [device];
  const available = DEVICE_KINDS.filter((kind) => DEVICES[kind].platforms.test(`${platform} ${arch}`));
  return available.map((kind) => deviceName(kind));
}
