/**
 * Grammars of outputs of which the decoder drops the first space, as decoders of SentencePiece do: models of
 * such tokenizers usually begin an answer with a token that has a space. Pure.
 */
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { NodeId } from '../../grammar/program.ts';
import type { ProgramBuilder } from '../../grammar/program-builder.ts';
import { subtract } from '../../grammar/regular/operations.ts';
import { patternAutomaton } from '../../grammar/regular/pattern.ts';

/** The output with or without the space that the decoder drops. */
export function afterSpace(builder: ProgramBuilder, root: NodeId): NodeId {
  const space = builder.add({ kind: 'literal', text: ' ' });
  const nothing = builder.add({ kind: 'sequence', items: [] });
  return builder.add({ kind: 'sequence', items: [builder.add({ kind: 'choice', items: [space, nothing] }), root] });
}

/**
 * The form without the texts that begin with a space: the decoder would change them. JSON has none.
 * @throws GrammarError `unsatisfiable` if no other text is left
 */
export function withoutSpace(builder: ProgramBuilder, form: NodeId): NodeId {
  const node = builder.nodeAt(form);
  const spaced = node.kind === 'chars' ? patternAutomaton('^ ', 'search', builder.budget) : undefined;
  if (node.kind !== 'chars' || !spaced) return form;
  const automaton = subtract(node.automaton, spaced, builder.budget);
  if (automaton) return builder.add({ kind: 'chars', automaton });
  const message = 'allows only texts that begin with a space, which the tokenizer of the model drops; remove the space';
  throw new GrammarError('unsatisfiable', [], message);
}
