/**
 * The form in which a grammar crosses to the engine process: one text. A copy of a text takes a millisecond
 * for each megabyte; a copy of the objects of a large grammar would hold the event loop for 50 ms. Pure.
 */
import type { Program } from './program.ts';

/** The JSON of a grammar. */
export type PackedProgram = string;

export const packProgram = (program: Program): PackedProgram => JSON.stringify(program);

/** The grammar of a text that `packProgram` has made. */
export const unpackProgram = (packed: PackedProgram): Program => JSON.parse(packed);
