/** Sets the colours: light, dark, or those of the system. */
import type { Taste } from '../state/storage.ts';

export function applyTheme({ theme }: Taste): void {
  document.documentElement.dataset['theme'] = theme;
}
