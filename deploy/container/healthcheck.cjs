/**
 * The health check of the image, without a shell: exit code 0 if the worker answers `GET /live`. It needs no
 * token. A worker that loads its model or drains is alive, too.
 */
const { get } = require('node:http');

const end = (code) => process.exit(code);
// biome-ignore lint/style/noProcessEnv: the image sets the port as a variable, and this file is no part of src/.
const port = process.env.RBEES_PORT ?? 8080;
get({ host: '127.0.0.1', port, path: '/live', timeout: 4000 }, ({ statusCode }) => end(statusCode === 200 ? 0 : 1))
  .on('timeout', () => end(1))
  .on('error', () => end(1));
