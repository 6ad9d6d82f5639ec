/** The message of a caught value, and long values in messages, for both processes. Pure. */

/** The message of an error, or any other thrown value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * A text of at most `limit` UTF-16 units: the middle of a longer one becomes an ellipsis, because the start
 * and the end of a path or a name say most.
 */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = Math.floor((limit - 1) / 2);
  return `${text.slice(0, limit - 1 - end)}…${text.slice(text.length - end)}`.toWellFormed();
}
