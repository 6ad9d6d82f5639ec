/** The first lines of a worker: its start, and the origin of its settings. */
import type { Config, Settings } from '../../config/config.ts';
import { identityFields, type WorkerIdentity } from '../../lifecycle/identity.ts';
import { modelName } from '../../model/folder.ts';
import { narrate, startNarration } from '../../narration/narrate.ts';
import { keepSecret } from '../../narration/sanitize.ts';
import { openStdout } from '../../narration/stdout.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { reportSettings } from './settings-report.ts';

interface IntroducedWorker {
  readonly settings: Settings;
  /** Reason why other processes of the user can read a token; undefined if they cannot. */
  readonly exposure: string | undefined;
  /** More secrets than those of the settings, to be kept out of all texts. */
  readonly secrets: readonly string[];
  /** The settings that the worker uses. */
  readonly config: Config;
  readonly identity: WorkerIdentity;
  readonly metrics: Metrics;
  /** Maximum number of open file descriptors, if known. */
  readonly openFiles: number | undefined;
}

/** Opens the narration and narrates the start of the worker, and the origin of its settings. */
export function introduce(worker: IntroducedWorker): void {
  const { settings, exposure, secrets, config, identity, metrics, openFiles } = worker;
  const { file } = settings;
  const { logLevel, logFormat, apiToken, callbackToken = '', slots, context } = config;
  const { workerId, version } = identity;
  for (const secret of [callbackToken, ...secrets]) keepSecret(secret);
  const stdout = openStdout({ level: logLevel, format: logFormat });
  startNarration({ workerId, version, stdout, count: (event) => metrics.narrated(event) });
  narrate('worker.startup', {
    version,
    node_version: process.versions.node,
    ...identityFields(identity),
    model_ref: modelName(config),
    ...(slots !== 'auto' && { slots }),
    context_length: context,
    token_fingerprint: apiToken === undefined ? undefined : keepSecret(apiToken),
    ...(file && { settings_file: file.path, settings: file.used.join(', ') }),
  });
  reportSettings(settings, exposure, { connections: config.maxConnections, openFiles });
}
