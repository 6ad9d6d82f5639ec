/**
 * Reads an exported conversation. The file is not trusted: only the fields that the page shows are taken,
 * each with its type. Pure.
 */
import type { Answer, AnswerStatus, Failure } from './answer.ts';
import { newAnswer } from './answer.ts';
import type { ConversationData, ResultsTurn, Turn } from './conversation.ts';
import { FORMAT } from './export.ts';
import { isParameter, type Parameters } from './parameters.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});
const textsOf = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(fieldsOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );

/** An answer of a file does not run. */
const STATUSES: readonly AnswerStatus[] = ['complete', 'stopped', 'failed', 'refused', 'lost'];

/** The conversation of a file; undefined if the text is not such a file. */
export function importJson(text: string): (ConversationData & { readonly parameters: Parameters }) | undefined {
  try {
    const file: unknown = JSON.parse(text);
    if (!isFields(file) || file['format'] !== FORMAT) return undefined;
    const turns = listOf(file['turns']).flatMap(turnOf);
    return { turns, chosen: textsOf(file['chosen']), parameters: parametersOf(file['parameters']) };
  } catch {
    return undefined;
  }
}

/** Other names would become fields of every request. */
const parametersOf = (value: unknown): Parameters =>
  Object.fromEntries(Object.entries(textsOf(value)).filter(([name]) => isParameter(name)));

function turnOf(given: Fields): Turn[] {
  const { id, parent, kind } = given;
  // A turn follows an earlier one, so no path is a circle.
  const [number, before] = [turnNumber(id), parent === '' ? 0 : turnNumber(parent)];
  if (number === undefined || before === undefined || before >= number) return [];
  const place = { id: textOf(id), parent: textOf(parent) };
  if (kind === 'user') return [{ ...place, kind, text: textOf(given['text']) }];
  if (kind === 'results') return [{ ...place, kind, results: listOf(given['results']).map(resultOf) }];
  return kind === 'answer' ? [{ ...place, kind, answer: answerOf(fieldsOf(given['answer'])) }] : [];
}

function turnNumber(id: unknown): number | undefined {
  const [, digits] = /^t([1-9]\d{0,8})$/.exec(textOf(id)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

const resultOf = (given: Fields): ResultsTurn['results'][number] => ({
  callId: textOf(given['callId']),
  name: textOf(given['name']),
  content: textOf(given['content']),
});

function answerOf(given: Fields): Answer {
  const story = fieldsOf(given['story']);
  const answer = newAnswer(textOf(given['jobId']), numberOf(story['sentAt']));
  const failure = failureOf(given['failure']);
  answer.status = STATUSES.find((status) => status === given['status']) ?? 'lost';
  answer.text = textOf(given['text']);
  answer.reasoning = textOf(given['reasoning']);
  answer.calls = listOf(given['calls']).map((call) => ({
    id: textOf(call['id']),
    name: textOf(call['name']),
    arguments: textOf(call['arguments']),
  }));
  if (failure) answer.failure = failure;
  answer.story.endedAt = numberOf(story['endedAt']);
  answer.story.tokens = numberOf(story['tokens']);
  answer.story.sentences = listOf(story['sentences']).map((one) => ({
    at: numberOf(one['at']),
    event: textOf(one['event']),
    level: textOf(one['level']).replace(/[^A-Z]/g, ''),
    actor: textOf(one['actor']),
    target: textOf(one['target']),
    human: textOf(one['human']),
    ...(typeof one['cute'] === 'string' && { cute: one['cute'] }),
    ...(typeof one['story'] === 'string' && { story: one['story'] }),
    facts: factsOf(one['facts']),
  }));
  return answer;
}

function failureOf(given: unknown): Failure | undefined {
  if (!isFields(given)) return undefined;
  return { code: textOf(given['code']), message: textOf(given['message']) };
}

const factsOf = (given: unknown): Readonly<Record<string, string | number>> =>
  Object.fromEntries(
    Object.entries(fieldsOf(given)).filter(
      (entry): entry is [string, string | number] => typeof entry[1] === 'string' || typeof entry[1] === 'number',
    ),
  );
