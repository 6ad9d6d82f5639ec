/**
 * Narrates the conversion of weights into the form of a graph, and states how exact the converted weights
 * are.
 */
import { narrate } from '../../narration/narrate.ts';
import type { ConversionProgress, Exactness } from '../../protocol/decoder/conversion.ts';
import type { DeviceName } from '../../protocol/devices.ts';
import type { EngineFacts } from '../../protocol/loading.ts';
import { narrateSharing } from './sharing-narration.ts';

/** Narrates one message of the engine. */
export function narrateConversion(device: DeviceName, progress: ConversionProgress): void {
  switch (progress.state) {
    case 'converting':
      narrate('weights.converting', {
        device,
        bytes_read: progress.bytes,
        disk_bytes: progress.diskBytes,
        eta_ms: progress.expectedMs,
      });
      break;
    case 'progress':
      narrate('weights.convert_progress', { device, percent: progress.percent, eta_ms: progress.expectedMs });
      break;
    case 'converted':
      narrate('weights.converted', { device, disk_bytes: progress.diskBytes, duration_ms: progress.durationMs });
      break;
    case 'waiting':
    case 'unshared':
      narrateSharing(device, progress);
      break;
    default:
      progress satisfies never;
  }
}

/** Differences below are those of a sum in float32, and count as none. */
const ROUNDING = 1e-6;
/** Names of matrices in one field. */
const MOST_LISTED = 4;

/** The facts of `model.loaded` about converted weights; empty for a model without any. */
export function exactnessFacts({
  conversions = [],
  floatMatrices = [],
}: Pick<EngineFacts, 'conversions' | 'floatMatrices'>): {
  readonly exact_weights?: string;
  readonly rounded_weights?: string;
  readonly float_weights?: string;
  readonly weights_difference_percent?: number;
} {
  const exact = conversions.filter(({ difference }) => difference < ROUNDING);
  const rounded = conversions.filter(({ difference }) => difference >= ROUNDING);
  const largest = Math.max(...rounded.map(({ difference }) => difference));
  return {
    ...(exact.length > 0 && { exact_weights: namesOf(exact) }),
    ...(rounded.length > 0 && {
      rounded_weights: rounded.map((one) => `${one.from} (${percentOf(one)} %)`).join(', '),
      weights_difference_percent: 100 * largest,
    }),
    ...(floatMatrices.length > 0 && { float_weights: listOf(floatMatrices) }),
  };
}

function listOf(names: readonly string[]): string {
  const more = names.length - MOST_LISTED;
  return names.slice(0, MOST_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

const namesOf = (weights: readonly Exactness[]): string => [...new Set(weights.map(({ from }) => from))].join(', ');

const percentOf = ({ difference }: Exactness): number => Number((100 * difference).toPrecision(2));
