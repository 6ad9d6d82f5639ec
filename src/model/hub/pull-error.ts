/** The two errors of a pull: the pull has failed, or one attempt has. */

/** The pull failed. The message states the cause and the remedy. Exit code 1. */
export class PullError extends Error {
  override readonly name: string = 'PullError';
}

/** An attempt failed; another attempt may succeed. */
export class BrokenTransfer extends Error {
  override readonly name = 'BrokenTransfer';
  /** Wait that the server requested with `Retry-After`. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}
