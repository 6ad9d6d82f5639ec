/**
 * GET /openapi.yaml and /openapi.json: the contract of the worker.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

export function yamlHandler(contract: string) {
  return (_request: FastifyRequest, reply: FastifyReply) =>
    reply.type('application/yaml; charset=utf-8').send(contract);
}

/** Loads the YAML parser at the first request, to keep the start-up short. */
export function jsonHandler(contract: string) {
  return async (_request: FastifyRequest, reply: FastifyReply) => {
    const { parse } = await import('yaml');
    return reply.send(parse(contract));
  };
}
