/**
 * How many threads the runtime computes with, and how they wait.
 */
import { availableParallelism } from 'node:os';
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';

const SMALL_MODEL_BYTES = 32 * 2 ** 20;

/** How long a thread waits awake for the next piece of work within a run, in microseconds; between runs all sleep. */
const SPIN_US = 4;

/**
 * All cores, asleep between runs. A run is some 300 pieces of parallel work, and to wake a thread for each costs a tenth of a decode step of a
 * small model; but a thread that waits awake takes the core from whoever else wants it. Measured on two cores with a 4-bit model of 135 M
 * parameters, milliseconds of a step of 1 row and of 16: asleep 11.6 and 79, awake for 4 µs 10.4 and 77, for 50 µs 10.3 and 77; beside one
 * process that never rests 14.1 and 117, 13.7 and 123, 18.5 and 158; beside two 18.3 and 176, 20.3 and 165, 28 and 175. Over HTTP with the
 * machine to itself, awake for 4 µs against asleep: 1.13 times the tokens of one stream, 1.06 of sixteen.
 * One thread for a small model: the embedded one (3.5 MB) is as fast with one, and the other core stays free.
 */
export function configureThreads(api: OrtApi, sessionOptions: Pointer, weightBytes: number): void {
  const threads = weightBytes < SMALL_MODEL_BYTES ? 1 : availableParallelism();
  api.setIntraOpNumThreads(sessionOptions, threads);
  api.addSessionConfigEntry(sessionOptions, 'session.intra_op.allow_spinning', '1');
  api.addSessionConfigEntry(sessionOptions, 'session.intra_op.spin_duration_us', String(SPIN_US));
  api.addSessionConfigEntry(sessionOptions, 'session.force_spinning_stop', '1');
}
