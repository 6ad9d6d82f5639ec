/**
 * Sentences about the export of traces. Lifecycle events: they go to stdout only.
 */
import { shorten } from '../../../protocol/text/error-message.ts';
import { lifecycleEvent } from '../../entry.ts';
import { count } from '../../phrases.ts';

const ACTOR = 'trace-exporter';

export const TRACE_EVENTS = {
  'traces.started': lifecycleEvent({
    actor: ACTOR,
    action: 'traces_start',
    level: 'INFO',
    when: 'a variable of OpenTelemetry turns traces on: the worker exports the spans of its requests',
    required: ['url'],
    target: (f) => f.url,
    human: (f) => `Worker sends its spans to ${shorten(f.url, 56)}: traces are on`,
    cute: () => '🧭 Every step leaves a footprint now, for whoever follows the trail!',
  }),
  'traces.setting_unusable': lifecycleEvent({
    actor: ACTOR,
    action: 'settings_read',
    level: 'WARN',
    when: 'a variable of OpenTelemetry has a value that is not used as given; the worker serves in any case',
    required: ['setting', 'reason'],
    target: (f) => f.setting,
    human: (f) => `Change or remove ${f.setting}: ${f.reason}`,
    cute: () => '🗺️ This map has a word the little bee cannot read. She flies on anyway!',
  }),
  'traces.spans_dropped': lifecycleEvent({
    actor: ACTOR,
    action: 'spans_drop',
    level: 'WARN',
    when: 'spans could not be exported, and are lost: the queue is full, the receiver is not reached or refuses them, or the worker ends; at most once in 60 seconds, with all since the last report',
    required: ['spans_dropped', 'url', 'reason'],
    target: (f) => f.url,
    human: (f) =>
      `Check the receiver of spans at ${f.url}: ${count(f.spans_dropped, 'span')} dropped, requests are not affected (${f.reason})`,
    cute: () => '🍃 A few footprints were blown away. The path itself is fine!',
  }),
} as const;
