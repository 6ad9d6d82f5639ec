/** The form of a command. `table.ts` has the table of all commands. Types only. */

/** The line of a command in the overview. */
export interface CommandLine {
  readonly name: string;
  /** The arguments, as the overview shows them. At most 18 columns with the name. */
  readonly usage: string;
  /** At most 54 columns. */
  readonly summary: string;
}

/** A command that can be described. */
export interface ListedCommand extends CommandLine {
  readonly load: () => Promise<CommandHelp>;
}

/** The table of commands, and how a command starts other processes of this program. */
export interface CommandContext {
  /** In the order of the overview, `serve` first. */
  readonly commands: readonly ListedCommand[];
  /** The script that starts a worker. */
  readonly cli: URL;
  readonly version: string;
  /** True if a hang-up must not stop the processes. */
  readonly survivesHangup: boolean;
}

/** The description of a command. */
export interface CommandHelp {
  /** Describes the command for `rbees-workerd <name> --help`: at most 24 lines of 80 columns. */
  help(): string;
  /** Everything about the command, for `rbees-workerd <name> --help-all`. Absent: the same as `help`. */
  helpAll?(): string;
  /** The allowed words of the first argument, for the completions of shells. Absent: any text. */
  words?(): readonly string[];
}

/** A command, as its folder exports it. The table names it, and describes it in one line. */
export interface Command extends CommandHelp {
  /**
   * @param args the arguments after the name of the command
   * @returns the exit code
   * @throws ConfigError for a wrong command line
   */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}
