/**
 * GET /openapi.yaml and /openapi.json: the contract.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

export function yamlHandler(contract: string) {
  return (_request: FastifyRequest, reply: FastifyReply) =>
    reply.type('application/yaml; charset=utf-8').send(contract);
}

/** The YAML parser is loaded at the first request: start-up does not need it. */
export function jsonHandler(contract: string) {
  return async (_request: FastifyRequest, reply: FastifyReply) => {
    const { parse } = await import('yaml');
    return reply.send(parse(contract));
  };
}
