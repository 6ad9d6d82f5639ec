/**
 * Sentences about an engine that is silent for too long but was not yet killed. The worker reports a stall
 * once in its log, and in the stream of every request.
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
} as const;
