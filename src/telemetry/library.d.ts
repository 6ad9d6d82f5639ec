/** Parts of prom-client. The package has types for its main file only, which loads a client for HTTPS too. */

declare module 'prom-client/lib/registry.js' {
  export { Registry as default } from 'prom-client';
}

declare module 'prom-client/lib/metrics/*.js' {
  import type { Registry } from 'prom-client';

  /** Adds metrics to the registry. */
  const register: (registry: Registry) => void;
  export default register;
}
