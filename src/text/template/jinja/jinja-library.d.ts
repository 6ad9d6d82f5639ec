/**
 * Types of @huggingface/jinja 0.5.11, as far as this folder uses them. Several members are private in the
 * package. The package's own types import files without extensions, which a strict ES module cannot resolve.
 * jinja-interpreter.ts says how to check an upgrade.
 */
declare module '@huggingface/jinja' {
  /** A value of a template: `value` is a string, a number, a boolean, an array, a Map, null or undefined. */
  export interface Value {
    readonly type: string;
    readonly value: unknown;
    readonly builtins: ReadonlyMap<string, Value>;
    __bool__(): { readonly value: boolean };
  }

  export interface Statement {
    readonly type: string;
  }

  export class Environment {
    constructor(parent?: Environment);
    readonly parent?: Environment;
    set(name: string, value: unknown): Value;
    setVariable(name: string, value: Value): Value;
    lookupVariable(name: string): Value;
  }

  export class Interpreter {
    constructor(environment?: Environment);
    evaluate(statement: Statement | undefined, environment: Environment): Value;
    protected evaluateBlock(statements: readonly Statement[], environment: Environment): Value;
    protected evaluateFor(node: Statement, environment: Environment): Value;
    protected evaluateBinaryExpression(node: Statement, environment: Environment): Value;
    protected evaluateFilterStatement(node: Statement, environment: Environment): Value;
    protected evaluateMemberExpression(node: Statement, environment: Environment): Value;
    protected evaluateTestExpression(node: Statement, environment: Environment): Value;
    protected evaluateSliceExpression(object: Value, slice: Statement, environment: Environment): Value;
    protected evaluateArguments(nodes: readonly Statement[], environment: Environment): [Value[], Map<string, Value>];
    protected applyFilter(operand: Value, filter: Statement, environment: Environment): Value;
  }

  export interface Token {
    readonly type: string;
    readonly value: string;
  }

  /** Calls `endsWith` and `replace` of the source, and then reads the result of `replace`. */
  export function tokenize(
    source: string | { endsWith(end: string): boolean; replace(): string },
    options?: { readonly lstrip_blocks: boolean; readonly trim_blocks: boolean },
  ): readonly Token[];
  export function parse(tokens: readonly Token[]): Statement;
}
