/**
 * All events that the worker can narrate, by their stable names. The other files of this folder have the
 * sentences, grouped by topic. `human` is for users and operators: subject, verb, object, numbers with units.
 * `cute` is playful. `story` is a dialogue of two components.
 */
import type { Entry, Facts } from '../entry.ts';
import { CALLBACK_EVENTS } from './callback-events.ts';
import { ENGINE_EVENTS } from './engine-events.ts';
import { HOST_EVENTS } from './host-events.ts';
import { INTERRUPTION_EVENTS } from './interruption-events.ts';
import { MODEL_EVENTS } from './model-events.ts';
import { MODEL_FILE_EVENTS } from './model-file-events.ts';
import { REQUEST_EVENTS } from './request-events.ts';
import { SETTINGS_EVENTS } from './settings-events.ts';
import { SILENCE_EVENTS } from './silence-events.ts';
import { TEXT_EVENTS } from './text-events.ts';
import { TRACE_EVENTS } from './traces/trace-events.ts';
import { WORKER_EVENTS } from './worker-events.ts';

export const CATALOGUE = {
  ...WORKER_EVENTS,
  ...CALLBACK_EVENTS,
  ...HOST_EVENTS,
  ...SETTINGS_EVENTS,
  ...TRACE_EVENTS,
  ...MODEL_EVENTS,
  ...MODEL_FILE_EVENTS,
  ...ENGINE_EVENTS,
  ...TEXT_EVENTS,
  ...REQUEST_EVENTS,
  ...INTERRUPTION_EVENTS,
  ...SILENCE_EVENTS,
} as const;

export type EventName = keyof typeof CATALOGUE;

/** The typed fields of an event. */
export type FactsOf<E extends EventName> =
  (typeof CATALOGUE)[E] extends Entry<infer Has, infer May> ? Facts<Has, May> : never;
