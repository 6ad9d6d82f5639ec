/** Arguments of calls as Python and Gemma write them. Pure. */

import type { CharAutomaton, MemberGroup, NodeId } from '../../../grammar/program.ts';
import { intersect } from '../../../grammar/regular/operations.ts';
import { MAX_NAME_UNITS } from '../reading/input.ts';
import type { ArgumentNotation } from './ordered.ts';
import { Rewriter, type Rules } from './rewrite.ts';
import { textsOf, type Writer } from './writer.ts';

/** Characters that end a name of an argument, for the readers of Python, of Gemma's notation and of tags. */
const NAME_ENDS = /[\s:=,{}()[\]'"<>]/;
/** Longest name of an argument that is not listed, in characters. */
export const MAX_FREE_NAME = 64;
/** Names of arguments that are not listed. */
const FREE_NAME = `[A-Za-z_][A-Za-z0-9_]{0,${MAX_FREE_NAME - 1}}`;

/** True if the readers accept a name without quotes. */
export const isBareName = (name: string): boolean =>
  name !== '' && name.length <= MAX_NAME_UNITS && !NAME_ENDS.test(name);

/** The names of a group that need no quotes. */
export function bareNames(writer: Writer, { names }: MemberGroup): CharAutomaton | undefined {
  const { budget } = writer.builder;
  const free = textsOf(FREE_NAME, budget);
  return names ? intersect(names, free, budget) : free;
}

/**
 * `name=value` of Python, or `name:value` of Gemma.
 * @param joint between a name and its value
 */
export function bareNotation(writer: Writer, joint: '=' | ':', rules: Rules): ArgumentNotation {
  const rewriter = new Rewriter(writer, rules);
  const value = (id: NodeId): NodeId | undefined => {
    const written = rewriter.rewrite(id);
    return writer.builder.nodeAt(written).kind === 'nothing' ? undefined : written;
  };
  return {
    separator: joint === '=' ? writer.sequence(writer.text(','), writer.space) : writer.text(','),
    argument(name, id) {
      const written = isBareName(name) ? value(id) : undefined;
      return written === undefined ? undefined : writer.sequence(writer.text(`${name}${joint}`), written);
    },
    other(group) {
      const [names, written] = [bareNames(writer, group), value(group.value)];
      if (!names || written === undefined) return undefined;
      return writer.sequence(writer.chars(names), writer.text(joint), written);
    },
  };
}
