// @ts-check
/**
 * Keeps code out of the start of a worker that a worker does not run: modules that no call reaches are left
 * out, and modules that few calls reach are loaded at the first use (docs/decisions/0022-cheap-workers.md).
 */

/**
 * Fastify loads these only for routes with schemas and for `inject`. The worker has neither (http/server.ts).
 */
const ABSENT = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'];
/**
 * Packages load these at their start, and use them in cases that a worker does not have: HTTP/2, TLS, plugins
 * with a version, log lines in another thread.
 */
const LATE = ['node:http2', 'node:https', 'node:dns', 'semver', 'thread-stream'];
const PREFIX = '\0late:';

/** @returns {import('rolldown').Plugin} */
export function startPlugin() {
  return {
    name: 'start',
    resolveId(source, importer) {
      if (importer?.startsWith(PREFIX)) return undefined;
      if (!importer?.includes('node_modules')) return undefined;
      return ABSENT.includes(source) || LATE.includes(source) ? PREFIX + source : undefined;
    },
    load(id) {
      if (!id.startsWith(PREFIX)) return undefined;
      const source = id.slice(PREFIX.length);
      if (ABSENT.includes(source)) return `throw new Error('${source} is not in this build');\nmodule.exports = {};`;
      return `const load = () => require('${source}');
module.exports = new Proxy(class {}, {
  get: (_, name) => load()[name],
  construct: (_, parameters) => Reflect.construct(load(), parameters),
});`;
    },
  };
}
