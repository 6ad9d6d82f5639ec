/**
 * The end of the start of a process or thread, for the loader of the build. The loader is another script than
 * the bundled code, so both know only a global symbol.
 */
const STARTED = Symbol.for('rbees-workerd.started');

const place = globalThis as { [STARTED]?: (() => void) | undefined };

/** Sets the function that `reportStarted` calls. */
export function onStarted(listener: () => void): void {
  place[STARTED] = listener;
}

/** Reports that the usual code of a start has run. Does nothing without the loader of the build. */
export function reportStarted(): void {
  place[STARTED]?.();
  place[STARTED] = undefined;
}
