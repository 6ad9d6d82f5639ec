/** The guarantees of a stream of OpenAI's Responses API, whose events have names and numbers. */

import { messagesIn } from '../../src/client/client.ts';
import { hasExactForm } from '../support/sse-form.ts';
import { type Media, schemaProblems } from './document.ts';
import { brokenRules } from './rules.ts';

const ENDS = ['response.completed', 'response.incomplete', 'response.failed error'];

/** True for a stream whose events are those of this API. */
export const hasNamedEvents = ({ schema }: Media): boolean =>
  'response.created' in Object((schema['discriminator'] as { mapping?: object } | undefined)?.mapping);

/** The problems of a stream. */
export function namedProblems({ schema }: Media, body: string): string[] {
  const events = messagesIn(body).map(({ event: name, data }) => ({
    name,
    data: (data.startsWith('{') ? JSON.parse(data) : {}) as Record<string, unknown>,
  }));
  const names = events.map(({ name }) => name);
  const ends = names.filter((name) => /^(?:response\.(?:completed|incomplete|failed)|error)$/.test(name ?? ''));
  return [
    ...brokenRules(
      [hasExactForm(body), 'the stream is cut, or has another form'],
      [names[0] === 'response.created', 'the first event is not response.created'],
      [
        ENDS.includes(ends.join(' ')) && names.slice(-ends.length).join() === ends.join(),
        'the end of the stream is wrong',
      ],
      [events.every(({ name, data }) => data['type'] === name), 'an event has another name than its type'],
      [events.every(({ data }, index) => data['sequence_number'] === index), 'the numbers have a gap'],
    ),
    ...events.flatMap(({ data }) => schemaProblems(schema, data)),
  ];
}
