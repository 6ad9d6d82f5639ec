/** Waits for a state that no event announces. */
import { vi } from 'vitest';

/**
 * Repeats assertions until they hold. Fails with their last error after a minute, a ceiling for a machine
 * under load.
 */
export function eventually(assertions: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(assertions, { timeout: 60_000, interval: 20 });
}
