/**
 * The web page at `/`: plain files of the build, without data of the worker. A browser loads them without
 * the token; the page asks for it and sends it with its own requests.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { isLoopback } from '../../config/contradictions.ts';
import { WorkerError } from '../../contract/errors.ts';
import { lazy } from '../../protocol/start/lazy.ts';
import { fileHandler } from './openapi.ts';

/** The file of every path of the page, with its media type. */
export const PAGE_FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page/icon.svg': ['icon.svg', 'image/svg+xml'],
} as const;

/** The page uses its own files and its own worker only, and no page can show it in a frame. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** True if this worker serves the page. */
export const hasPage = ({ page, host }: Pick<Config, 'page' | 'host'>): boolean =>
  page === 'on' || (page === 'auto' && isLoopback(host));

/**
 * Adds the routes of the page. A file is read at its first request, so a page that is never opened costs
 * nothing.
 * @param folder the folder of the files
 */
export function addPage(app: FastifyInstance, folder: URL): void {
  for (const [url, [name, type]] of Object.entries(PAGE_FILES)) {
    const send = lazy(() => fileHandler(new URL(name, folder), type));
    const handler = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
      // The router takes the target `*`, which is that of OPTIONS, for the root.
      if (request.raw.url === '*') throw new WorkerError('NOT_FOUND');
      return send()(request, reply.headers(HEADERS));
    };
    app.get(url, { config: { page: true }, exposeHeadRoute: true }, handler);
  }
}
