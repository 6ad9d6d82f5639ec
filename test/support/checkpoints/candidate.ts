/**
 * From the folder of a checkpoint to the input of the engine. The tests of test/engine open every random
 * checkpoint through this function.
 */
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';

/**
 * @param context positions of the worker; the rotary embedding of longrope depends on them.
 */
export type CandidateOf = (folder: string, device: DeviceName, context: number) => Promise<Candidate>;

/** Undefined as long as the engine builds no graph of a checkpoint: then the tests of the engine do not run. */
export const candidateOf: CandidateOf | undefined = undefined;
