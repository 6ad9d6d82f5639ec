/** The place where a step reads a byte, and the places that can follow. Types only. */
import type { NodeId } from '../../program.ts';

export interface StepPlace {
  readonly phase: number;
  readonly a: number;
  readonly b: number;
  /** Goes on inside of the node, at other parts. */
  stay(phase: number, a: number, b: number): void;
  /** Goes on behind the node. */
  end(): void;
  /** Goes on inside of another node, and behind that one at these parts of this node. */
  above(other: NodeId, phase: number, a: number, b: number): void;
}
