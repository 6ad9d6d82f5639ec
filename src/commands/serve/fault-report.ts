/** Narrates the fault that ends a worker. */
import { narrate } from '../../narration/narrate.ts';

export function narrateFault(kind: string, fault: unknown): void {
  narrate('worker.failed', { error_kind: kind, reason: String(fault instanceof Error ? fault.stack : fault) });
}
