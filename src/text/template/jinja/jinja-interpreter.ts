/**
 * Runs a parsed template. Corrects the library's interpreter where it differs from Python: printing,
 * equality, operators, attributes, scope of loop variables, string methods. Counts every step. Pure except
 * for the clock.
 *
 * The class overrides private methods of @huggingface/jinja 0.5.11, which jinja-library.d.ts declares by
 * hand. The compiler cannot see an upgrade that renames a method or a node type: the override is then never
 * called, and the library's own behaviour returns. Prompts change, or limits on time and text are lost. In
 * that case test/text/template/reference-templates.test.ts (prompts recorded from transformers) and
 * jinja.test.ts (limits) fail.
 */
import { Environment, Interpreter, type Statement, type Value } from '@huggingface/jinja';
import {
  checkListLength,
  checkTextLength,
  ITEM_UNITS,
  RenderBudget,
  type RenderLimits,
  UNITS_PER_CLOCK_CHECK,
} from '../render-limits.ts';
import { applySort, checkFilter, type FilterArguments } from './jinja-filters.ts';
import { applyTextFilter, joined, methodOf } from './jinja-methods.ts';
import { operate } from './jinja-operators.ts';
import * as values from './jinja-values.ts';
import { charAt } from './python-text.ts';

/** Nodes of the syntax tree, with the fields that this file reads. */
interface Node extends Statement {
  readonly value: string;
  readonly body: readonly Statement[];
  readonly defaultBlock: readonly Statement[];
  readonly loopvar: Node;
  readonly iterable: Node;
  readonly lhs: Statement;
  readonly test: Node;
  readonly operator: { readonly value: string };
  readonly left: Statement;
  readonly right: Statement;
  readonly object: Statement;
  readonly property: Node;
  readonly computed: boolean;
  readonly operand: Statement;
  readonly negate: boolean;
  readonly callee: Node;
  readonly args: readonly Statement[];
}

/** Statements, which print only the output of their blocks. */
const STATEMENTS: ReadonlySet<string> = new Set([
  'Set',
  'If',
  'For',
  'Macro',
  'FilterStatement',
  'Comment',
  'Break',
  'Continue',
]);

/** Statements whose step reads all of their block, however long it is. */
const READ_THEIR_BLOCK: ReadonlySet<string> = new Set(['Macro', 'CallStatement']);
/** Methods of a mapping. The library has others, which Python lacks. */
const MAPPING_METHODS: ReadonlySet<string> = new Set(['get', 'items', 'keys', 'values']);

/** Thrown by `break` and `continue`. Carries the text that the block printed before. */
class LoopExit extends Error {
  printed = '';
  readonly isBreak: boolean;

  constructor(isBreak: boolean) {
    super('break or continue outside of a loop');
    this.isBreak = isBreak;
  }
}

export class PythonInterpreter extends Interpreter {
  readonly #budget: RenderBudget;

  constructor(environment: Environment, limits: RenderLimits) {
    super(environment);
    this.#budget = new RenderBudget(limits);
  }

  /**
   * @throws RenderBudgetError if a limit is reached, or Error if the template refuses its variables or
   * fails.
   */
  override evaluate(statement: Statement | undefined, environment: Environment): Value {
    this.#budget.step();
    if (statement?.type === 'Break' || statement?.type === 'Continue') throw new LoopExit(statement.type === 'Break');
    if (statement && READ_THEIR_BLOCK.has(statement.type)) this.#budget.work(UNITS_PER_CLOCK_CHECK);
    const value = super.evaluate(statement, environment);
    if (values.isList(value)) checkListLength(value.value.length);
    if (values.isString(value)) checkTextLength(value.value.length);
    const size = values.sizeOf(value);
    this.#budget.work(size);
    if (statement?.type !== 'Identifier') this.#budget.create(values.isString(value) ? size : size * ITEM_UNITS);
    return value;
  }

  protected override evaluateBlock(statements: readonly Statement[], environment: Environment): Value {
    this.#budget.step();
    let text = '';
    try {
      for (const statement of statements) {
        const value = this.evaluate(statement, environment);
        if (STATEMENTS.has(statement.type)) text += values.isString(value) ? value.value : '';
        else text += values.toText(value);
        checkTextLength(text.length);
      }
    } catch (error) {
      if (error instanceof LoopExit) error.printed = text + error.printed;
      throw error;
    }
    return values.string(text);
  }

  protected override evaluateFor(node: Node, environment: Environment): Value {
    const hasFilter = node.iterable.type === 'SelectExpression';
    const all = values.itemsOf(this.evaluate(hasFilter ? node.iterable.lhs : node.iterable, environment));
    const scopeWith = (item: Value): Environment => bind(node.loopvar, item, new Environment(environment));
    const items = hasFilter
      ? all.filter((item) => values.isTruthy(this.evaluate(node.iterable.test, scopeWith(item))))
      : all;
    if (items.length === 0) return this.evaluateBlock(node.defaultBlock, new Environment(environment));
    let text = '';
    for (const [at, item] of items.entries()) {
      const scope = scopeWith(item);
      scope.setVariable('loop', loopOf(items, at));
      try {
        text += values.toText(this.evaluateBlock(node.body, scope));
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error;
        text += error.printed;
        if (error.isBreak) break;
      }
      checkTextLength(text.length);
    }
    return values.string(text);
  }

  /** Variables that a filter block sets end with the block. */
  protected override evaluateFilterStatement(node: Statement, environment: Environment): Value {
    return super.evaluateFilterStatement(node, new Environment(environment));
  }

  protected override evaluateBinaryExpression(node: Node, environment: Environment): Value {
    const left = this.evaluate(node.left, environment);
    if (node.operator.value === 'and') return values.isTruthy(left) ? this.evaluate(node.right, environment) : left;
    if (node.operator.value === 'or') return values.isTruthy(left) ? left : this.evaluate(node.right, environment);
    return operate(node.operator.value, left, this.evaluate(node.right, environment));
  }

  protected override evaluateMemberExpression(node: Node, environment: Environment): Value {
    const object = this.evaluate(node.object, environment);
    if (values.isUndefined(object)) throw new Error('the template reads an attribute of an undefined value');
    if (node.computed && node.property.type === 'SliceExpression') {
      return this.evaluateSliceExpression(object, node.property, environment);
    }
    const key = node.computed ? this.evaluate(node.property, environment) : nameOf(node.property);
    return memberOf(object, key) ?? values.undefinedValue();
  }

  protected override evaluateTestExpression(node: Node, environment: Environment): Value {
    if (node.test.value !== 'iterable') return super.evaluateTestExpression(node, environment);
    const operand = this.evaluate(node.operand, environment);
    const iterable = values.isString(operand) || values.isList(operand) || values.isDict(operand);
    return values.bool(iterable !== node.negate);
  }

  protected override applyFilter(operand: Value, filter: Node, environment: Environment): Value {
    const name = filter.type === 'CallExpression' ? filter.callee.value : filter.value;
    const given = (): FilterArguments =>
      this.evaluateArguments(filter.type === 'CallExpression' ? filter.args : [], environment);
    const args = (): readonly Value[] => {
      const [positional, named] = given();
      return [...positional, ...named.values()];
    };
    const ordered = applySort(operand, name, given);
    if (ordered) return ordered;
    checkFilter(operand, name, given);
    if (values.isString(operand))
      return applyTextFilter(operand.value, name, args) ?? super.applyFilter(operand, filter, environment);
    if (name === 'join' && values.isList(operand)) {
      const [separator] = args();
      return values.string(joined(operand.value, separator ? values.toText(separator) : ''));
    }
    if (name === 'string') return values.string(values.toText(operand));
    if (name === 'trim') return values.string(values.toText(operand).trim());
    if (name === 'length' && values.isUndefined(operand)) return values.int(0);
    if (name === 'list') return values.list(values.itemsOf(operand));
    return super.applyFilter(operand, filter, environment) ?? values.undefinedValue();
  }
}

function nameOf(property: Node): Value {
  return property.type === 'IntegerLiteral' ? values.int(Number(property.value)) : values.string(property.value);
}

function memberOf(object: Value, key: Value): Value | undefined {
  if (values.isDict(object) || values.isNamespace(object)) {
    const name = values.isString(key) ? key.value : undefined;
    if (name === undefined) return undefined;
    return object.value.get(name) ?? (MAPPING_METHODS.has(name) ? object.builtins.get(name) : undefined);
  }
  if (values.isString(object)) {
    if (values.isString(key)) {
      const method = methodOf(object.value, key.value);
      return method && values.callable(method);
    }
    const char = values.isInt(key) ? charAt(object.value, key.value) : undefined;
    return char === undefined ? undefined : values.string(char);
  }
  if (values.isList(object)) return values.isInt(key) ? object.value.at(key.value) : undefined;
  return values.isString(key) ? object.builtins.get(key.value) : undefined;
}

/** Binds the loop variables to one item. */
function bind(target: Node, item: Value, scope: Environment): Environment {
  if (target.type === 'Identifier') {
    scope.setVariable(target.value, item);
    return scope;
  }
  const names = target.value as unknown as readonly Node[];
  const parts = values.itemsOf(item);
  if (names.length !== parts.length) throw new Error('a loop unpacks its items into the wrong number of variables');
  names.forEach((name, at) => {
    bind(name, parts[at] ?? values.undefinedValue(), scope);
  });
  return scope;
}

function loopOf(items: readonly Value[], at: number): Value {
  return values.dict({
    index: values.int(at + 1),
    index0: values.int(at),
    revindex: values.int(items.length - at),
    revindex0: values.int(items.length - at - 1),
    first: values.bool(at === 0),
    last: values.bool(at === items.length - 1),
    length: values.int(items.length),
    previtem: items[at - 1] ?? values.undefinedValue(),
    nextitem: items[at + 1] ?? values.undefinedValue(),
    cycle: values.callable((args) => args[at % args.length] ?? values.undefinedValue()),
  });
}
