/**
 * Compares the record of one client with the invariants. Knows the faults that were injected and the text of
 * each job when it runs alone.
 */
import type { SseMessage } from '../../src/client/client.ts';
import type { Account, Went } from './client.ts';
import type { Ledger } from './ledger.ts';

/** The faults that were injected while a client was served. */
export interface Circumstances {
  /** The engine was killed. */
  readonly killed: boolean;
  /** The worker runs with `--on-engine-loss fail`: a lost engine ends the streams that it served. */
  readonly fails?: boolean;
  /** The worker received SIGTERM. */
  readonly stopping: boolean;
  /** The text of each job when it runs alone. */
  readonly texts: readonly string[];
  /** The options that repeat the run. */
  readonly again: string;
}

interface Event {
  readonly id: number;
  readonly data: Readonly<Record<string, unknown>> & { readonly type: string };
}

const ID = /^[0-9a-z]{9}-(\d+)$/;

/** The event of a message; a message of any other form has the type `malformed`. */
export function eventOf({ id, event: name, data: json }: SseMessage): Event {
  const number = Number(ID.exec(id ?? '')?.[1] ?? Number.NaN);
  const isOne = !Number.isNaN(number) && json.startsWith('{') && !json.includes('\n');
  const data = isOne ? (JSON.parse(json) as Event['data']) : { type: 'malformed' };
  return { id: number, data: data.type === name ? data : { ...data, type: 'malformed' } };
}

const isSame = (one: SseMessage, other: SseMessage | undefined): boolean =>
  one.id === other?.id && one.event === other?.event && one.data === other?.data;

const isTerminal = ({ data }: Event): boolean => data.type === 'end' || data.type === 'error';

/** Checks the whole record of one client. */
export function judge(account: Account, circumstances: Circumstances, ledger: Ledger): void {
  const { plan, jobId, correlationId, visits, replay } = account;
  const client = (): string => `${jobId} (${circumstances.again}), plan ${JSON.stringify(plan)}`;
  const [first] = visits;
  if (first?.status !== 200) {
    ledger.ended(first ? `${first.status} ${codeOf(first)}` : 'connection refused');
    const explained = first ? isRefusal(first, account, circumstances) : circumstances.stopping;
    ledger.expect('answer', explained, () => `${first?.status} ${first?.text}; ${client()}`);
    return;
  }
  ledger.expect('answer', first.headers['x-correlation-id'] === correlationId, () => `wrong header; ${client()}`);
  const messages = visits.flatMap((visit) => (visit?.status === 200 ? visit.messages : []));
  const live = messages.map(eventOf);
  judgeVisits(account, circumstances, ledger, client);
  const final = visits.at(-1);
  // 204: the client already had the last event. 410: the log was dropped.
  const ended = final?.how === 'ended' && (final.status === 200 || final.status === 204);
  const whole = replay?.status === 200 && replay.how === 'ended';
  if (replay?.status === 200) {
    const same = messages.every((message, index) => isSame(message, replay.messages[index]));
    const complete = !ended || !whole || messages.length === replay.messages.length;
    const counts = (): string => `${messages.length} and ${replay.messages.length} events; ${client()}`;
    ledger.expect('replay', same && complete, counts);
  } else if (replay || !circumstances.stopping)
    ledger.expect('replay', replay?.status === 410, () => `status ${replay?.status}; ${client()}`);
  const events = whole ? replay.messages.map(eventOf) : live;
  judgeEvents(events, ended || whole, account, circumstances, ledger, client);
}

/** Checks the end of each visit and the answers to returning clients. */
function judgeVisits(
  { plan, visits, replay }: Account,
  { stopping }: Circumstances,
  ledger: Ledger,
  client: () => string,
): void {
  for (const went of [...visits, replay]) {
    if (went)
      ledger.expect(
        'whole',
        went.how !== 'stuck' && (went.how !== 'broken' || plan.narrow),
        () => `${went.how}; ${client()}`,
      );
  }
  for (const went of visits.slice(1)) {
    const status = went?.status;
    const fine = status === 200 || status === 204 || status === 410 || (stopping && status === undefined);
    ledger.expect('answer', fine, () => `a return got ${status} ${went?.text}; ${client()}`);
  }
}

/** Checks the stream itself. `whole`: it was read to its end. */
function judgeEvents(
  events: readonly Event[],
  whole: boolean,
  account: Account,
  circumstances: Circumstances,
  ledger: Ledger,
  client: () => string,
): void {
  const { plan, jobId, correlationId } = account;
  const last = events.at(-1);
  const tokens = events.filter(({ data }) => data.type === 'token').map(({ data }) => data);
  const text = tokens.map(({ t }) => String(t)).join('');
  const alone = circumstances.texts[plan.job] ?? '';
  const terminals = events.filter(isTerminal);
  const ids = events.every(({ id }, index) => id === index);
  ledger.expect('ids', ids, () => `${events.map(({ id }) => id)}; ${client()}`);
  ledger.expect(
    'indices',
    tokens.every(({ i }, index) => i === index),
    () => `${tokens.map(({ i }) => i)}; ${client()}`,
  );
  const foreign = events.find(({ data }) => isForeign(data, jobId, correlationId));
  ledger.expect('own', foreign === undefined, () => `${JSON.stringify(foreign)}; ${client()}`);
  const textHolds = last?.data.type === 'end' ? text === alone : alone.startsWith(text);
  ledger.expect('text', textHolds, () => `${JSON.stringify(text)} instead of ${JSON.stringify(alone)}; ${client()}`);
  if (!whole) {
    ledger.ended('not read to the end');
    ledger.expect('terminal', terminals.length <= 1, () => `${terminals.length} of them; ${client()}`);
    return;
  }
  const one = terminals.length === 1 && last === terminals[0] && events[0]?.data.type === 'started';
  ledger.expect('terminal', one, () => `${JSON.stringify(terminals)}, last ${JSON.stringify(last)}; ${client()}`);
  const how = last?.data.type === 'end' ? 'end' : String(last?.data['code']);
  ledger.ended(how);
  ledger.expect('explained', isExplained(how, account, circumstances), () => `${how}; ${client()}`);
}

/** True if an event names another request than its own. */
function isForeign(data: Event['data'], jobId: string, correlationId: string): boolean {
  if (data.type === 'malformed') return true;
  const ids = JSON.stringify(data).match(/(?:job|req)-\d+-[\w-]+/g) ?? [];
  const correlated = data.type === 'token' || data.type === 'metrics' || data['correlation_id'] === correlationId;
  return !correlated || ids.some((id) => id !== jobId && id !== correlationId);
}

/** True if the actions of the client or the faults explain this end. */
function isExplained(how: string, { plan, visits }: Account, { killed, fails, stopping }: Circumstances): boolean {
  const left = visits.some((went) => went?.how === 'left' || went?.how === 'broken');
  switch (how) {
    case 'end':
      return true;
    case 'ENGINE_LOST':
      return killed && fails === true;
    case 'CANCELLED':
      return plan.cancelAfter !== undefined || left;
    case 'TIMEOUT':
      return plan.timeoutMs !== undefined;
    case 'SLOW_CONSUMER':
      return plan.narrow;
    case 'DRAINING':
      return stopping;
    default:
      return false;
  }
}

/** True if a refusal has the error shape and an explained reason. */
function isRefusal(went: Went, { plan, correlationId }: Account, { killed, stopping }: Circumstances): boolean {
  const code = codeOf(went);
  const { error } = jsonOf(went);
  const shaped =
    typeof error?.['message'] === 'string' &&
    typeof error['retriable'] === 'boolean' &&
    error['correlation_id'] === correlationId &&
    went.headers['x-correlation-id'] === correlationId;
  const explained: Readonly<Record<string, boolean>> = {
    '503 ALL_SLOTS_BUSY': true,
    '503 WORKER_UNHEALTHY': killed,
    '503 DRAINING': stopping,
    '504 TIMEOUT': plan.timeoutMs !== undefined,
  };
  return shaped && explained[`${went.status} ${code}`] === true;
}

function jsonOf(went: Went): { readonly error?: Readonly<Record<string, unknown>> } {
  try {
    return JSON.parse(went.text) as { error?: Record<string, unknown> };
  } catch {
    return {};
  }
}

export const codeOf = (went: Went): string => String(jsonOf(went).error?.['code'] ?? 'no error shape');
