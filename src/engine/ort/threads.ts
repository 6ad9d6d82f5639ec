/** Configures the runtime's threads: their number, and how they wait for work. */
import type { ThreadCount } from '../../protocol/threads.ts';
import type { Pointer } from '../ffi.ts';
import { usableThreads } from '../host/cpu-threads.ts';
import type { OrtApi } from './api.ts';

const SMALL_MODEL_BYTES = 32 * 2 ** 20;

/** Microseconds that a thread spins between two pieces of work in a run, before it sleeps. */
const SPIN_US = 4;

/**
 * The number of threads for a model. `auto` uses all cores that the process may use. A small model gets one
 * thread: the embedded one (3.5 MB) is as fast with one, and the other cores stay free.
 */
export function threadsFor(requested: number | 'auto', weightBytes: number): ThreadCount {
  if (requested !== 'auto') return { count: requested, reason: 'setting' };
  return weightBytes < SMALL_MODEL_BYTES ? { count: 1, reason: 'small_model' } : usableThreads();
}

/**
 * Sets the number of threads, which sleep between runs. A run has about 300 pieces of parallel work. Waking a
 * thread for each piece costs a tenth of a decode step of a small model, but a spinning thread takes the core
 * from other processes. Milliseconds of a step of 1 row and of 16 rows, measured on two cores with a 4-bit
 * model of 135 M parameters: without spinning 11.6 and 79, spinning 4 µs 10.4 and 77, spinning 50 µs 10.3 and
 * 77; beside one process that is always busy 14.1 and 117, 13.7 and 123, 18.5 and 158; beside two such
 * processes 18.3 and 176, 20.3 and 165, 28 and 175. Over HTTP on an idle machine spinning for 4 µs gives 1.13
 * times the tokens of one stream and 1.06 times those of sixteen.
 */
export function configureThreads(api: OrtApi, sessionOptions: Pointer, threads: number): void {
  api.setIntraOpNumThreads(sessionOptions, threads);
  api.addSessionConfigEntry(sessionOptions, 'session.intra_op.allow_spinning', '1');
  api.addSessionConfigEntry(sessionOptions, 'session.intra_op.spin_duration_us', String(SPIN_US));
  api.addSessionConfigEntry(sessionOptions, 'session.force_spinning_stop', '1');
}
