/** Narrates how the engine shares the weights of a model with the other workers of the machine. */
import { narrate } from '../../narration/narrate.ts';
import { formatBytes } from '../../narration/phrases.ts';
import type { UnsharedReason, WeightsProgress } from '../../protocol/decoder/sharing.ts';
import type { DeviceName } from '../../protocol/devices.ts';

/** Narrates one message of the engine. */
export function narrateSharing(device: DeviceName, progress: WeightsProgress): void {
  switch (progress.state) {
    case 'saving':
      narrate('weights.saving', { device, disk_bytes: progress.bytes, eta_ms: progress.expectedMs });
      break;
    case 'waiting':
      narrate('weights.waiting', { device, percent: progress.percent });
      break;
    case 'saved':
      narrate('weights.saved', { device, disk_bytes: progress.diskBytes, duration_ms: progress.durationMs });
      break;
    case 'queued':
      narrate('weights.queued', { device });
      break;
    case 'mapped':
      narrate('weights.shared', { device, shared_bytes: progress.bytes });
      break;
    case 'unshared':
      narrate('weights.unshared', { device, error_kind: progress.reason.code, reason: sentenceOf(progress.reason) });
      break;
    default:
      progress satisfies never;
  }
}

/** Texts with a remedy begin with it: a narrated sentence can be cut at its end. */
function sentenceOf(reason: UnsharedReason): string {
  switch (reason.code) {
    case 'disk_full':
      return `free some space or set --weights-cache to another disk: saving needs ${formatBytes(reason.needed)}, and ${formatBytes(reason.free)} are free`;
    case 'memory_short':
      return `start one worker with more free memory first: saving needs ${formatBytes(reason.needed)} of memory for a moment, and ${formatBytes(reason.free)} are free`;
    case 'differs':
      return reason.difference === undefined
        ? 'the saved weights compute no numbers; they were removed'
        : `the saved weights compute other logits (${Number((100 * reason.difference).toPrecision(2))} %); they were removed`;
    case 'unusable':
      return `an earlier attempt failed: ${reason.message}; rbees-workerd models --prune allows another one`;
    case 'failed':
      return `set --weights-cache to a folder that can be written, or to off: ${reason.message}`;
    default:
      return reason satisfies never;
  }
}
