/** The environment of a terminal: if its stream may have styles and control sequences. */

/** The contents that a stream may have besides text. */
export interface TerminalSettings {
  /** Colours and other styles of the text. */
  readonly styles: boolean;
  /** Sequences that move the cursor and erase text. */
  readonly motion: boolean;
}

/**
 * Order of precedence for styles: `NO_COLOR`, `FORCE_COLOR`, the kind of the stream. `TERM=dumb` allows no
 * sequence at all on a terminal: it would show them as text.
 * @param isTTY true if the stream is a terminal
 */
export function terminalSettings(isTTY: boolean, environment: NodeJS.ProcessEnv = process.env): TerminalSettings {
  const { NO_COLOR = '', FORCE_COLOR, TERM } = environment;
  if (isTTY && TERM === 'dumb') return { styles: false, motion: false };
  if (NO_COLOR !== '') return { styles: false, motion: isTTY };
  // FORCE_COLOR without a value forces, as in Node.js; 0 and false do not.
  const forced = FORCE_COLOR === undefined ? undefined : FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return { styles: forced ?? isTTY, motion: isTTY };
}
