/** The recorded exchanges in test/recordings conform to openapi.yaml and to the rules of narration. */
import { expect, test } from 'vitest';
import { framesOf, problemsOf } from './conformance.ts';
import { isDialect } from './dialects.ts';
import { DOCUMENT, recordings, schemaProblems, templateOf } from './document.ts';
import { narrationProblems } from './rules.ts';

const all = recordings();
const known = all.filter(({ request }) => templateOf(request.path) !== undefined);

test.each(known.map((recording) => [recording.name, recording] as const))(
  '%s conforms to openapi.yaml',
  (_, recording) => {
    expect(problemsOf(recording)).toEqual([]);
  },
);

test('the only recording of an unknown path has status 404', () => {
  const others = all.filter((recording) => !known.includes(recording));
  expect(others.map(({ response }) => response.status)).toEqual([404]);
  const bodies = others.map(({ response }) => JSON.parse(response.body) as unknown);
  expect(bodies.flatMap((body) => schemaProblems({ $ref: '#/components/schemas/ErrorAnswer' }, body))).toEqual([]);
});

test('accepted request bodies are valid under the schema of their route', () => {
  const accepted = known.filter(({ request, response }) => request.body !== undefined && response.status < 300);
  const problems = accepted.flatMap(({ request }) => {
    const content = DOCUMENT.paths[request.path]?.['post']?.requestBody?.content['application/json'];
    return schemaProblems(content?.schema ?? {}, request.body);
  });
  expect(accepted.length).toBeGreaterThan(5);
  expect(problems).toEqual([]);
});

test('every recorded line keeps the limits, and the stream of a job has the same narrations as the log', () => {
  for (const { request, response, log } of all) {
    expect(log.flatMap((line) => narrationProblems(line))).toEqual([]);
    if (isDialect(request.path)) continue;
    if (request.method === 'GET' || !response.headers['content-type']?.startsWith('text/event-stream')) continue;
    const narrations = framesOf(response.body).filter(({ name }) => name === 'narration');
    expect(narrations.map(({ data }) => data['human'])).toEqual(log.map((line) => line['human']));
  }
});

test('the check finds planted errors', () => {
  const [good] = known.filter(({ name }) => name === 'execute-stop-string');
  if (!good) throw new Error('execute-stop-string is not recorded');
  const problemsAfter = (from: string | RegExp, to: string): string[] =>
    problemsOf({ ...good, response: { ...good.response, body: good.response.body.replace(from, to) } });
  expect(problemsAfter('"seed":42', '"seed":42,"unheard_of":1')).not.toEqual([]);
  expect(problemsAfter(/("type":"end".*)"stop_sequence"/, '$1"bored"')).not.toEqual([]);
  expect(problemsAfter(/^(id: \w+)-3\n/m, '$1-4\n')).not.toEqual([]);
  expect(problemsAfter(/^id: \w+-3\n/m, 'id: anotherun-3\n')).not.toEqual([]);
  expect(problemsAfter(/"run_id":"\w+"/, '"run_id":"anotherun"')).not.toEqual([]);
  expect(problemsAfter('"i":1', '"i":2')).not.toEqual([]);
  expect(problemsAfter(/id: \S+\nevent: end[\s\S]*$/, '')).not.toEqual([]);
  expect(problemsAfter('req-execute-stop-string', 'req-another')).not.toEqual([]);
  expect(problemsOf({ ...good, response: { ...good.response, status: 418 } })).not.toEqual([]);
  expect(problemsOf({ ...good, response: { ...good.response, headers: {} } })).not.toEqual([]);
});
