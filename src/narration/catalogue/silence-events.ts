/**
 * Sentences about an engine that is silent for too long but was not yet killed, and about requests that lose
 * their slot and continue later. The worker reports a stall once in its log, and in the stream of every
 * request.
 */
import { lifecycleEvent, requestEvent } from '../entry.ts';
import { count, formatMs, formatSeconds } from '../phrases.ts';

const ENGINE = 'inference-engine';

export const SILENCE_EVENTS = {
  'engine.stalled': lifecycleEvent({
    actor: ENGINE,
    action: 'engine_stall',
    level: 'WARN',
    when: 'the open engine has sent no message for --stall-after, or for ten of its longest steps if that is more; the worker refuses new requests until the next message',
    required: ['silence_ms', 'timeout_ms', 'requests_running', 'requests_waiting'],
    target: () => 'engine',
    human: (f) =>
      `Check the load, the memory and the driver of the machine: the engine has been silent for ${formatMs(f.silence_ms)} with ${count(f.requests_running, 'request')} running and ${f.requests_waiting} waiting; the worker refuses new requests and restarts the engine after ${formatSeconds(f.timeout_ms)} of silence`,
    cute: () => '🥱 The engine stares out of the window. Hello? Anybody home?',
  }),
  'engine.recovered': lifecycleEvent({
    actor: ENGINE,
    action: 'engine_recover',
    level: 'INFO',
    when: 'a stalled engine has sent a message; the worker accepts requests again, unless it drains',
    required: ['silence_ms'],
    target: () => 'engine',
    human: (f) => `Engine answers again after ${formatMs(f.silence_ms)} of silence`,
    cute: () => '🌞 The engine blinks, stretches and is back with us!',
  }),
  'request.stalled': requestEvent({
    actor: ENGINE,
    action: 'engine_stall',
    level: 'WARN',
    when: 'the engine is stalled while this request runs or waits; the request continues at the next message of the engine',
    required: ['silence_ms'],
    human: (f) =>
      `Wait, or cancel the request and send it to another worker: the engine has been silent for ${formatMs(f.silence_ms)}`,
    cute: () => '🥱 The engine is daydreaming. We tap it gently on the shoulder…',
  }),
  'request.recovered': requestEvent({
    actor: ENGINE,
    action: 'engine_recover',
    level: 'INFO',
    when: 'a stalled engine has sent a message, and this request continues',
    required: ['silence_ms'],
    human: (f) => `Engine answers again after ${formatMs(f.silence_ms)} of silence; the request continues`,
    cute: () => '🌞 The engine is awake again. Where were we?',
  }),
  'request.interrupted': requestEvent({
    actor: ENGINE,
    action: 'interrupt',
    level: 'WARN',
    when: 'the engine process ended while the request ran; the next engine process continues the request',
    required: ['reason', 'tokens_out'],
    human: (f) => `The request continues in a new engine process; the last one was lost (${f.reason})`,
    cute: () => '🩹 The engine stumbled, but your words are safe. We pick up right where we were!',
  }),
  'request.held': requestEvent({
    actor: ENGINE,
    action: 'hold',
    level: 'INFO',
    when: 'two engine processes in a row were lost, and the engine tests the requests that ran in both, one at a time; this request waits',
    human: () => 'The request waits while the engine tests, one by one, the requests that may have ended it',
    cute: () => '🕵️ Somebody keeps tripping the engine. We ask one bee at a time, then you go on!',
  }),
  'request.preempted': requestEvent({
    actor: ENGINE,
    action: 'preempt',
    level: 'INFO',
    when: 'the memory of the cache is used up; the request gives back its memory, waits in front of the queue and continues later',
    required: ['tokens_dropped'],
    human: (f) =>
      `The request gives back its memory and continues later; the engine drops ${count(f.tokens_dropped, 'token')}`,
    cute: () => '🎒 The nest is full for a moment. You are first in line to come back!',
  }),
  'request.resumed': requestEvent({
    actor: ENGINE,
    action: 'resume',
    level: 'INFO',
    when: 'a request continues that was interrupted, held or preempted',
    required: ['tokens_recomputed', 'interrupted_ms'],
    human: (f) =>
      `The request continues after ${formatMs(f.interrupted_ms)}; the engine recomputed ${count(f.tokens_recomputed, 'token')}`,
    cute: () => '🌱 And on we go, as if nothing had happened!',
  }),
} as const;
