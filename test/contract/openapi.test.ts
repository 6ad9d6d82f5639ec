/** openapi.yaml is valid, agrees with the error table, and has valid examples. */
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';
import { ERRORS, type ErrorCode, STREAM_ERROR_CODES } from '../../src/contract/errors.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { DOCUMENT, type Media, operations, SOURCE, schemaProblems } from './document.ts';

/** Routes of other servers' dialects, whose clients expect 400 for a prompt that is too long. */
const DIALECT_PATHS = /^\/(?:v1\/|tokenize$)/;

test('the linter reports no error and no warning', async () => {
  const config = await createConfig({ extends: ['recommended'], telemetry: 'off' });
  const found = await lintFromString({ source: SOURCE, absoluteRef: 'openapi.yaml', config });
  expect(found.map(({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer}`)).toEqual([]);
});

test('every example is valid by its own schema', () => {
  const media = operations().flatMap(({ operation: { requestBody, responses } }) => [
    ...Object.values(requestBody?.content ?? {}),
    ...Object.values(responses).flatMap((answer) => Object.values(answer.content ?? {})),
  ]);
  const examples = media.flatMap(({ schema, examples: of = {} }: Media) =>
    Object.entries(of).map(([name, { value }]) => ({ name, problems: schemaProblems(schema, value) })),
  );
  expect(examples.length).toBeGreaterThan(30);
  expect(examples.filter(({ problems }) => problems.length > 0)).toEqual([]);
});

test('every error of POST /execute except INTERNAL has an example', () => {
  const { responses } = operations().find(({ path }) => path === '/execute')?.operation ?? { responses: {} };
  const bare = Object.entries(responses).filter(([, answer]) => !answer.content?.['application/json']?.examples);
  expect(bare.map(([status]) => status)).toEqual(['200', '500']);
});

test('each status names only codes that have this status in the error table', () => {
  for (const { path, operation } of operations()) {
    for (const [status, { description }] of Object.entries(operation.responses)) {
      if (status === '200') continue;
      const named = [...description.matchAll(/^- `([A-Z_]+)`/gm)].map(([, code]) => code as ErrorCode);
      const statusOf = (code: ErrorCode): number =>
        DIALECT_PATHS.test(path) && code === 'PROMPT_TOO_LONG' ? 400 : ERRORS[code].status;
      expect(named.map((code) => `${path} ${statusOf(code)}`)).toEqual(named.map(() => `${path} ${status}`));
    }
  }
});

test('every error code is one of a route, of a stream, or of all connections', () => {
  const routes = Object.values(ROUTES).flatMap(({ errors }): readonly ErrorCode[] => errors);
  const named = new Set<string>([...routes, ...STREAM_ERROR_CODES, 'TOO_MANY_CONNECTIONS']);
  expect(Object.keys(ERRORS).filter((code) => !named.has(code))).toEqual([]);
});

test('only the probes are open without the bearer token', () => {
  const open = operations().filter(({ operation }) => operation.security?.length === 0);
  expect(open.map(({ path }) => path)).toEqual(['/live', '/ready']);
  const guarded = operations().filter(({ operation }) => '401' in operation.responses);
  expect(guarded).toHaveLength(operations().length - open.length);
});

test('every answer carries X-Correlation-Id', () => {
  const answers = operations().flatMap(({ operation }) => Object.values(operation.responses));
  expect(answers.filter(({ headers }) => headers['X-Correlation-Id'] === undefined)).toEqual([]);
  expect(DOCUMENT.components.headers['X-Correlation-Id']?.required).toBe(true);
});
