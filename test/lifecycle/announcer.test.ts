/** The announcements of a worker: one at a time, one per spacing, each with its own number; a real pool-manager. */
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { AnnounceSignal } from '../../src/lifecycle/callback/announce-signal.ts';
import { Announcer, type AnnouncerParts } from '../../src/lifecycle/callback/announcer.ts';
import { newIdentity } from '../../src/lifecycle/identity.ts';
import { capture } from '../../src/narration/narrate.ts';
import { eventually } from '../support/eventually.ts';
import { fakeModel } from '../support/fakes.ts';
import { PoolManager, type Reaction } from '../support/pool-manager.ts';

const IDENTITY = newIdentity('w-1', '0');
const LISTENING = { bound: { address: '127.0.0.1', port: 1 }, address: '127.0.0.1:1' };
const TIMES = { spreadMs: 1, firstDelayMs: 5, spacingMs: 20 };
/** Delays that no test waits for. */
const ENDLESS = { ...TIMES, firstDelayMs: 60_000, longestDelayMs: 3_600_000 };

let manager: PoolManager | undefined;
afterEach(async () => {
  await manager?.close();
  manager = undefined;
});

async function start(...reactions: Reaction[]): Promise<PoolManager> {
  manager = await PoolManager.start(...reactions);
  return manager;
}

interface Parts {
  readonly url: string;
  readonly giveUp?: number;
  readonly times?: AnnouncerParts['times'];
}

/** An announcer, and a promise of its rejection. */
function announcerOf({ url, giveUp = 0, times = TIMES }: Parts) {
  let rejected = (): void => undefined;
  const rejection = new Promise<void>((resolve) => {
    rejected = resolve;
  });
  const config = { callbackUrl: url, callbackGiveUp: giveUp };
  const announcer = new Announcer({
    config,
    identity: IDENTITY,
    memory: { bytes: 1 },
    proxy: undefined,
    rejected,
    times,
  });
  return { announcer, rejection };
}

test('each announcement has a number, a key and a reason of its own; the life of the worker stays the same', async () => {
  const receiver = await start(204);
  const { announcer } = announcerOf(receiver);
  announcer.ready(fakeModel(), LISTENING);
  await receiver.called(1);
  expect(announcer.announce('announce')).toEqual({
    status: 'announcing',
    worker_id: 'w-1',
    instance_id: IDENTITY.instanceId,
    announcement: 2,
  });
  await receiver.called(2);
  announcer.signalled();
  await receiver.called(3);
  announcer.close();
  const { instanceId } = IDENTITY;
  expect(receiver.calls.map(({ body }) => [body.announcement, body.reason])).toEqual([
    [1, 'started'],
    [2, 'announce'],
    [3, 'signal'],
  ]);
  expect(receiver.calls.map(({ headers }) => headers['idempotency-key'])).toEqual(
    [1, 2, 3].map((number) => `${instanceId}-${number}`),
  );
  expect(new Set(receiver.calls.map(({ body }) => body.instance_id))).toEqual(new Set([instanceId]));
});

test('requests before the model is loaded share the first announcement', async () => {
  const receiver = await start(204);
  const { announcer } = announcerOf(receiver);
  expect(announcer.announce('announce')).toMatchObject({ status: 'loading', announcement: 1 });
  announcer.signalled();
  announcer.ready(fakeModel(), LISTENING);
  await receiver.called(1);
  expect(announcer.announce('announce')).toMatchObject({ announcement: 2 });
  await receiver.called(2);
  announcer.close();
  expect(receiver.calls.map(({ body }) => body.reason)).toEqual(['started', 'announce']);
});

test('a flood of requests makes one announcement per spacing, and never two at once', async () => {
  const receiver = await start(503, 503, 204);
  const { announcer } = announcerOf({ url: receiver.url, times: ENDLESS });
  announcer.ready(fakeModel(), LISTENING);
  await receiver.called(1);
  const numbers = Array.from({ length: 1000 }, () => announcer.announce('announce').announcement);
  await receiver.called(2);
  numbers.push(...Array.from({ length: 1000 }, () => announcer.announce('announce').announcement));
  await receiver.called(3);
  announcer.close();
  expect(new Set(numbers)).toEqual(new Set([2, 3]));
  expect(receiver.calls.map(({ body }) => body.announcement)).toEqual([1, 2, 3]);
  expect(receiver.mostOpen).toBe(1);
});

test('a request ends the wait for the next attempt: the delay would take an hour', async () => {
  const receiver = await start(500, 204);
  const { announcer } = announcerOf({ url: receiver.url, times: ENDLESS });
  const { narrations } = await capture(async () => {
    announcer.ready(fakeModel(), LISTENING);
    await receiver.called(1);
    announcer.announce('announce');
    await receiver.called(2);
  });
  announcer.close();
  expect(narrations.map((one) => [one.event, one['announcement']])).toEqual([
    ['callback.attempt', 1],
    ['callback.failed', 1],
    ['callback.attempt', 2],
  ]);
});

test('a request during an attempt waits for its answer, then a new announcement follows, also after a success', async () => {
  const held: ServerResponse[] = [];
  const receiver = await start((response) => held.push(response), 204);
  const { announcer } = announcerOf(receiver);
  announcer.ready(fakeModel(), LISTENING);
  await receiver.called(1);
  announcer.announce('announce');
  expect(receiver.calls).toHaveLength(1);
  held[0]?.end();
  await receiver.called(2);
  announcer.close();
  expect(receiver.calls[1]?.body).toMatchObject({ announcement: 2, reason: 'announce' });
  expect(receiver.mostOpen).toBe(1);
});

test('a worker that was never accepted is rejected when it gives up', async () => {
  const receiver = await start(410);
  const { announcer, rejection } = announcerOf(receiver);
  const { narrations } = await capture(async () => {
    announcer.ready(fakeModel(), LISTENING);
    await rejection;
  });
  expect(narrations.at(-1)).toMatchObject({ event: 'callback.failed', level: 'FATAL' });
  expect(receiver.calls).toHaveLength(1);
});

test('410 to an attempt does not end a worker that was asked meanwhile for another announcement', async () => {
  const held: ServerResponse[] = [];
  const receiver = await start((response) => held.push(response), 204);
  const { announcer, rejection } = announcerOf(receiver);
  announcer.ready(fakeModel(), LISTENING);
  await receiver.called(1);
  announcer.announce('announce');
  held[0]?.writeHead(410).end();
  await Promise.race([receiver.called(2), rejection.then(() => expect.unreachable('The worker is rejected.'))]);
  announcer.close();
  expect(receiver.calls[1]?.body).toMatchObject({ announcement: 2, reason: 'announce' });
});

test('a worker that was accepted keeps serving when a later announcement fails, and can announce itself again', async () => {
  const receiver = await start(204, 410, 204);
  const { announcer, rejection } = announcerOf(receiver);
  let isRejected = false;
  void rejection.then(() => {
    isRejected = true;
  });
  const { narrations } = await capture(async () => {
    announcer.ready(fakeModel(), LISTENING);
    await receiver.called(1);
    announcer.announce('announce');
    await receiver.called(2);
  });
  const abandoned = () => narrations.find(({ event }) => event === 'callback.abandoned');
  await eventually(() => expect(abandoned()).toBeDefined());
  announcer.announce('announce');
  await receiver.called(3);
  announcer.close();
  expect(abandoned()).toMatchObject({ level: 'ERROR', announcement: 2, http_status: 410 });
  expect(isRejected).toBe(false);
});

test('a closed announcer neither calls nor narrates', async () => {
  const receiver = await start(() => undefined);
  const { announcer, rejection } = announcerOf({ url: receiver.url, giveUp: 1 });
  const { narrations } = await capture(async () => {
    announcer.ready(fakeModel(), LISTENING);
    await receiver.called(1);
    announcer.announce('announce');
    announcer.close();
    announcer.signalled();
    const ended = receiver.close();
    await Promise.race([rejection.then(() => expect.unreachable('The worker is rejected.')), ended]);
  });
  expect(narrations.map(({ event }) => event)).toEqual(['callback.attempt']);
  expect(receiver.calls).toHaveLength(1);
});

test('without a URL, a request is refused and signals are narrated together', async () => {
  const announcer = new Announcer({
    config: { callbackGiveUp: 600 },
    identity: IDENTITY,
    memory: { bytes: undefined },
    proxy: undefined,
    rejected: () => undefined,
  });
  const { narrations } = await capture(() => {
    announcer.ready(fakeModel(), LISTENING);
    for (let times = 0; times < 5; times += 1) announcer.signalled();
    expect(() => announcer.announce('announce')).toThrow(expect.objectContaining({ code: 'NO_CALLBACK', status: 409 }));
    announcer.close();
  });
  expect(narrations).toMatchObject([
    { event: 'callback.unset', level: 'WARN', times: 1 },
    { event: 'callback.unset', times: 4 },
  ]);
});

test('signals before the worker listens to them count as one, and reach it later', () => {
  const signals = new EventEmitter();
  const signal = new AnnounceSignal(signals);
  signals.emit('SIGUSR2');
  signals.emit('SIGUSR2');
  let received = 0;
  signal.onSignal(() => {
    received += 1;
  });
  expect(received).toBe(1);
  signals.emit('SIGUSR2');
  expect(received).toBe(2);
});
