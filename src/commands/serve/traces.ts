/** Opens the export of traces. Loaded only if a variable of OpenTelemetry asks for it. */
import type { TraceConfiguration } from '../../config/traces/trace-settings.ts';
import type { WorkerIdentity } from '../../lifecycle/identity.ts';
import { narrate } from '../../narration/narrate.ts';
import { ThrottledCount } from '../../narration/throttle.ts';
import { shownUrl } from '../../protocol/text/url-text.ts';
import { Tracer } from '../../telemetry/traces/tracer.ts';

/** Minimum time between two reports of dropped spans. */
export const DROP_REPORT_MS = 60_000;

/** The settings of traces, as the start of a worker has them. */
export interface OpenTraces extends Pick<TraceConfiguration, 'problems' | 'secrets'> {
  /** Absent if the settings do not allow an export. */
  readonly open?: (identity: WorkerIdentity, model: () => string) => Traces;
}

/** The export of traces of a worker. */
export interface Traces {
  readonly tracer: Tracer;
  /** Narrates the receiver, and the variables that are not used as given. */
  readonly introduce: () => void;
  /** Exports the rest for at most `ms` milliseconds, and reports the spans that are lost. */
  readonly close: (ms: number) => Promise<void>;
}

/** The traces of a configuration, to be opened by the worker. */
export function tracesOf({ settings, problems, secrets }: TraceConfiguration): OpenTraces {
  return {
    problems,
    secrets,
    ...(settings && { open: (identity, model) => openTraces(settings, identity, model) }),
  };
}

/** @param model name of the model, for the names of spans */
function openTraces(
  settings: NonNullable<TraceConfiguration['settings']>,
  { workerId, instanceId, version }: WorkerIdentity,
  model: () => string,
): Traces {
  const url = shownUrl(settings.receiver.url.href);
  const last = { cause: '' };
  const dropped = new ThrottledCount(
    (spans_dropped) => narrate('traces.spans_dropped', { spans_dropped, url, reason: last.cause }),
    DROP_REPORT_MS,
  );
  const tracer = new Tracer({
    settings,
    version,
    workerId,
    instanceId,
    model,
    onDropped: (spans, _, cause) => {
      last.cause = cause;
      dropped.add(spans);
    },
  });
  return {
    tracer,
    introduce: () => narrate('traces.started', { url }),
    close: async (ms) => {
      await tracer.close(ms);
      dropped.flush();
    },
  };
}
