/**
 * GET /openapi.yaml and /openapi.json: the contract of the worker, as the bytes of two files.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The two forms of the contract. */
export interface ContractFiles {
  readonly yaml: URL;
  readonly json: URL;
}

/**
 * Serves a file that does not change while the worker runs. Reads it once: a request only sends bytes.
 * A client that has these bytes (`If-None-Match`) gets 304.
 * @throws Error if the file cannot be read
 */
export function fileHandler(file: URL, contentType: string) {
  const bytes = readFileSync(file);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    reply.headers({ ETag: etag, 'Cache-Control': 'no-cache' });
    if (isKnown(etag, request.headers['if-none-match'])) return reply.code(304).send();
    return reply.type(contentType).send(bytes);
  };
}

/** True if `If-None-Match` is `*` or names the tag, also in its weak form (RFC 9110, 13.1.2). */
function isKnown(etag: string, header: string | undefined): boolean {
  return header === '*' || (header?.includes(etag) ?? false);
}
