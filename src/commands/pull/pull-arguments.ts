/** The command line of `pull`. */
import { parseArgs } from 'node:util';
import { ConfigError, readSettings, suggestionFor } from '../../config/config.ts';
import type { UnknownSettings } from '../../config/unknown-settings.ts';
import { type FormatChoice, WEIGHT_FORMATS } from '../../model/dtypes.ts';
import type { Selection } from '../../model/hub/choice.ts';
import { type HubReference, parseReference, REFERENCE_RULE } from '../../model/hub/reference.ts';
import { CPU, type DeviceName, deviceOf } from '../../protocol/devices.ts';
import { messageOf } from '../../protocol/text/error-message.ts';

export interface PullArguments {
  readonly reference: HubReference;
  readonly selection: Selection;
  /** `--verify`: check the files that the cache has. */
  readonly verify: boolean;
  /** Variables that look like settings and are none. */
  readonly unknown: UnknownSettings;
}

const FORMATS: readonly FormatChoice[] = [...WEIGHT_FORMATS, 'auto'];
const isFormat = (text: string): text is FormatChoice => FORMATS.some((format) => format === text);

/** @throws ConfigError */
export function readArguments(args: readonly string[]): PullArguments {
  const { values, positionals } = parseFlags(args);
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0)
    throw new ConfigError(
      'pull needs one model: pull org/name[:Q4_K_M][@revision] [--format onnx] [--dtype q4] [--device cuda] [--verify]',
    );
  const reference = parseReference(name);
  if (reference === undefined)
    throw new ConfigError(`pull: ${JSON.stringify(name.slice(0, 200))} is not allowed; allowed: ${REFERENCE_RULE}`);
  // As for a worker, flags override RBEES_DTYPE and RBEES_DEVICE, so that pull and worker choose the same
  // weights.
  const { verify = false, format = 'auto', ...flags } = values;
  if (!isFormat(format))
    throw new ConfigError(
      `pull: --format ${JSON.stringify(format.slice(0, 40))} is not allowed; allowed: ${FORMATS.join(', ')}`,
    );
  const { config, unknown } = readSettings(
    Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
    { reads: (setting) => setting === 'dtype' || setting === 'device' },
  );
  const { dtype, device } = config;
  return { reference, selection: { dtype, format, device: deviceForWeights(device) }, verify, unknown };
}

/**
 * The device whose preferred weights are pulled. `auto` selects the CPU: the model may run on another
 * machine, and every machine has a CPU.
 */
const deviceForWeights = (choice: string): DeviceName => deviceOf(choice) ?? CPU;

function parseFlags(args: readonly string[]) {
  const options = {
    format: { type: 'string' },
    dtype: { type: 'string' },
    device: { type: 'string' },
    'env-file': { type: 'string' },
    verify: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new ConfigError(messageOf(error) + suggestionFor(error, Object.keys(options)));
  }
}
