/** Compiles the forms that a request can demand to nodes of a grammar. Pure. */
import { GrammarError } from './grammar-error.ts';
import type { OutputFormat } from './output-format.ts';
import type { CharAutomaton, NodeId } from './program.ts';
import type { ProgramBuilder } from './program-builder.ts';
import { patternAutomaton } from './regular/pattern.ts';
import { wordsAutomaton } from './regular/words.ts';
import { addSchema, type SchemaOptions } from './schema/schema.ts';

/**
 * Adds the node of a form.
 * @throws GrammarError with a path in the schema; the path is empty for a pattern and for choices
 */
export function addFormat(builder: ProgramBuilder, format: OutputFormat, options: SchemaOptions): NodeId {
  switch (format.kind) {
    case 'json_object':
      return addSchema(builder, { type: 'object' }, options);
    case 'schema':
      return addSchema(builder, format.schema, options);
    case 'regex':
      return addText(builder, patternAutomaton(format.pattern, 'whole', builder.budget));
    case 'choice':
      return addText(builder, wordsAutomaton(format.choices, builder.budget));
  }
}

/** A text that is spelled as it is. @param automaton undefined: no text matches */
function addText(builder: ProgramBuilder, automaton: CharAutomaton | undefined): NodeId {
  if (!automaton) throw new GrammarError('unsatisfiable', [], 'matches no text');
  // No other node can be equal: nothing is compared.
  const id = builder.reserve();
  builder.define(id, { kind: 'chars', automaton });
  return id;
}
