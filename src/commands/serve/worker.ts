/**
 * The composition root: starts the rooms in order, hands each what it needs, and stops them in reverse.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { type Config, engineEnvironment, startedByNpm } from '../../config/config.ts';
import { CONTRACT_FILE } from '../../config/paths.ts';
import { buildServer } from '../../http/server.ts';
import type { Service } from '../../http/service.ts';
import { JobRegistry } from '../../jobs/registry.ts';
import { EngineSupervisor } from '../../lifecycle/engine-supervisor.ts';
import { type LoadedModel, loadModel } from '../../lifecycle/load-model.ts';
import { reportReady } from '../../lifecycle/ready-callback.ts';
import { failureText } from '../../lifecycle/reasons.ts';
import { WorkerState } from '../../lifecycle/state.ts';
import { StopRequests } from '../../lifecycle/stop-requests.ts';
import { modelName } from '../../model/folder.ts';
import { narrate, runIn, startNarration } from '../../narration/narrate.ts';
import { keepSecret } from '../../narration/sanitize.ts';
import { openStdout } from '../../narration/stdout.ts';
import type { EngineFacts } from '../../protocol/loading.ts';
import { Metrics, memoryBytes } from '../../telemetry/metrics.ts';

/** What still runs when the drain deadline has passed gets this long to end with its error: longer than a cancel waits for the engine. */
const LAST_WORDS_MS = 2000;

export class Worker {
  readonly #config: Config;
  readonly #version: string;
  readonly #state = new WorkerState();
  readonly #stops = new StopRequests();
  readonly #jobs: JobRegistry;
  readonly #metrics: Metrics;
  readonly #supervisor: EngineSupervisor;
  readonly #app: FastifyInstance;
  readonly #callback = new AbortController();
  /** Resolves when the second signal has come: stop at once. */
  readonly forced = this.#stops.forced;
  #model: LoadedModel | undefined;

  constructor(config: Config, version: string, engineProcess: ChildProcess) {
    this.#config = config;
    this.#version = version;
    this.#jobs = new JobRegistry({ ttlMs: config.replayTtl * 1000, bytes: config.replayMemory * 2 ** 20 });
    this.#supervisor = new EngineSupervisor(engineProcess, this.#state, {
      environment: engineEnvironment(),
      stepMs: config.stepTimeout * 1000,
      giveUp: (reason) => this.#fail('engine_lost', reason),
    });
    const engine = this.#supervisor.client;
    this.#metrics = new Metrics({
      running: () => engine.occupancy.busy,
      waiting: () => engine.occupancy.waiting,
      cacheUsage: () =>
        this.#model ? engine.occupancy.tokens / (this.#model.facts.slots * this.#model.facts.context) : 0,
      vramBytes: () => this.#model?.facts.deviceBytes ?? 0,
      logBytes: () => this.#jobs.logBytes,
      uptimeSeconds: () => this.#state.uptimeSeconds,
    });
    this.#app = buildServer(this.#service(), CONTRACT_FILE);
  }

  /** Start-up, service, drain. Resolves with the exit code. */
  async run(): Promise<number> {
    this.#introduce();
    this.#stops.watchSignals();
    this.#stops.watchFaults((fault) => narrateFault('uncaught', fault));
    this.#stops.watchStdin();
    if (startedByNpm()) this.#stops.watchParent();
    const life = this.#listen().then(async (listening) => {
      if (listening) await Promise.race([this.#load(), this.#stops.requested]);
      const { reason, exitCode } = await this.#stops.requested;
      await this.#drain(reason, listening);
      return exitCode;
    });
    return Promise.race([life, this.forced.then(() => 1)]);
  }

  #service(): Service {
    return {
      config: this.#config,
      version: this.#version,
      state: this.#state,
      jobs: this.#jobs,
      engine: this.#supervisor.client,
      metrics: this.#metrics,
      model: () => this.#model,
      shutdown: (reason) => this.#stops.request(reason),
    };
  }

  #introduce(): void {
    const { workerId, logLevel, logFormat, apiToken } = this.#config;
    const stdout = openStdout({ level: logLevel, format: logFormat });
    startNarration({ workerId, version: this.#version, stdout, count: (event) => this.#metrics.narrated(event) });
    narrate('worker.startup', {
      version: this.#version,
      node_version: process.versions.node,
      pid: process.pid,
      model_ref: modelName(this.#config),
      token_fingerprint: apiToken === undefined ? undefined : keepSecret(apiToken),
    });
  }

  /** Listens before the model is loaded, so that probes are answered from the first moment. False: the address cannot be had. */
  async #listen(): Promise<boolean> {
    const { host, port } = this.#config;
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    narrate('server.start', { address });
    try {
      await this.#app.listen({ host, port });
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      narrate('server.bind_failed', { address, error_kind: 'bind_failed', reason });
      this.#stops.request('bind_failed', 1);
      return false;
    }
    const bound = this.#address();
    narrate('server.bound', { address: bound, url: `http://${bound}` });
    return true;
  }

  #address(): string {
    const { host } = this.#config;
    const bound = this.#app.server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : this.#config.port;
    return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  /**
   * A request that is refused because the model is still loading goes the way of every later one through routing, parsing and answering,
   * while the engine process does the work: the first real one need not wait for code that has never run.
   */
  async #warmUpHttp(): Promise<void> {
    const headers = { Authorization: `Bearer ${this.#config.apiToken}` };
    await this.#app.inject({ method: 'POST', url: '/execute', headers, payload: {} }).catch(() => undefined);
  }

  /** Opens the model; from then on requests are served, whatever the callback's fate so far. */
  async #load(): Promise<void> {
    void this.#warmUpHttp();
    try {
      this.#model = await loadModel(this.#config, (options, onLoadEvent) =>
        this.#supervisor.start(options, onLoadEvent),
      );
    } catch (error) {
      if (this.#stops.asked) return; // the drain ended the load
      const reason = failureText(error);
      const model_ref = modelName(this.#config);
      narrate('model.load_failed', { model_ref, error_kind: 'model_load_failed', reason });
      this.#stops.request('model_load_failed', 1);
      return;
    }
    if (this.#stops.asked) return;
    narrateWarmup(this.#model.facts, this.#config.speculation === 'auto');
    if (this.#state.phase === 'starting') this.#state.enter('ready'); // else the engine was lost meanwhile, and says when it is back
    void this.#report(this.#model);
  }

  async #report({ spec, facts }: LoadedModel): Promise<void> {
    const { callbackUrl, advertiseUrl, workerId } = this.#config;
    if (callbackUrl === undefined) return;
    const notice = {
      worker_id: workerId,
      model_ref: spec.name,
      vram_bytes: facts.deviceBytes,
      memory_bytes: memoryBytes(facts.residentBytes),
      uri: advertiseUrl ?? `http://${this.#address()}`,
      device: facts.device,
      capabilities: ['text-gen'],
      protocol: 'sse',
      version: this.#version,
    } as const;
    const known = await reportReady(callbackUrl, notice, this.#callback.signal);
    if (!known && !this.#callback.signal.aborted) this.#stops.request('callback_failed', 1);
  }

  #fail(kind: string, reason: string): void {
    narrateFault(kind, reason);
    this.#stops.request(kind, 1);
  }

  /** Refuses new work, lets running requests finish until the deadline, then closes everything. */
  async #drain(reason: string, listening: boolean): Promise<void> {
    const began = performance.now();
    this.#callback.abort();
    this.#state.enter('draining');
    if (listening) await this.#finishJobs(reason);
    await this.#closeServer();
    await Promise.all([this.#supervisor.close(), this.#model?.tokenizer.close()]);
    if (listening) narrate('server.shutdown', { reason, duration_ms: performance.now() - began });
  }

  async #finishJobs(reason: string): Promise<void> {
    const timeoutMs = this.#config.shutdownTimeout * 1000;
    narrate('worker.draining', { reason, requests_running: this.#jobs.size, timeout_ms: timeoutMs });
    for (const job of this.#jobs) runIn(job.context, () => narrate('request.draining', { timeout_ms: timeoutMs }));
    await within(timeoutMs, this.#jobs.idle());
    for (const job of this.#jobs) job.stop('draining');
    await within(LAST_WORDS_MS, this.#jobs.idle());
  }

  /** Streams have had their last event; a reader that does not take it is not waited for. */
  async #closeServer(): Promise<void> {
    const closed = this.#app.close();
    await within(LAST_WORDS_MS, closed);
    this.#app.server.closeAllConnections();
    await closed;
  }
}

function narrateWarmup(facts: EngineFacts, auto: boolean): void {
  narrate('warmup.done', {
    duration_ms: facts.warmupMs,
    slots: facts.slots,
    context_length: facts.context,
    memory_bytes: memoryBytes(facts.residentBytes),
    vram_bytes: facts.deviceBytes,
    speculation: facts.speculation ? 'on' : 'off',
    trusted_tokens: facts.trustedTokens,
    ...(auto &&
      !facts.speculation &&
      facts.runDifference !== undefined && { rounding_percent: facts.runDifference * 100 }),
  });
}

function narrateFault(kind: string, fault: unknown): void {
  narrate('worker.failed', { error_kind: kind, reason: String(fault instanceof Error ? fault.stack : fault) });
}

/** Resolves when `work` does, or after `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const patience = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: patience.signal }).catch(() => undefined)]);
  patience.abort();
}
