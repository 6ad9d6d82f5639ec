/** Modes of `--gpu-graph` that an engine was asked for and could not use: the figures are those of a simpler one. */
import type { DeviceName } from '../../src/protocol/devices.ts';
import type { EngineFacts } from '../../src/protocol/loading.ts';
import type { Check } from './check.ts';
import type { Mode } from './correctness.ts';

interface Asked {
  readonly device: DeviceName;
  readonly mode: Mode;
  /** Name of the model in the table. */
  readonly model: string;
}

/** True if the engine decodes in a simpler mode than asked. */
export const isSimpler = (facts: Pick<EngineFacts, 'gpuGraph'> | undefined): boolean =>
  facts?.gpuGraph?.reason !== undefined;

/**
 * Adds the reason to the section of these modes, if the engine decodes in a simpler mode than asked.
 * @returns the text for the cell of the model: `, as eager`; empty if the mode is the asked one
 */
export function noteMode(
  { page, results }: Pick<Check, 'page' | 'results'>,
  { device, mode, model }: Asked,
  facts: Pick<EngineFacts, 'gpuGraph'> | undefined,
): string {
  const { gpuGraph } = facts ?? {};
  if (gpuGraph?.reason === undefined) return '';
  const row = [device, model, mode, gpuGraph.mode, gpuGraph.reason, gpuGraph.detail ?? '–'];
  results.simpler.set(row.join('|'), row);
  page.put({
    title: 'Modes that engines could not use',
    text: [
      'Their figures, marked with "as" in the other tables, are those of the mode that was used, and count for no goal.',
    ],
    head: ['device', 'model', 'asked', 'used', 'reason', 'message'],
    rows: [...results.simpler.values()],
  });
  return `, as ${gpuGraph.mode}`;
}
