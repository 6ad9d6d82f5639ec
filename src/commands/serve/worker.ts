/**
 * The composition root: creates the parts of a worker, starts them in order, and stops them in reverse order.
 */
import type { ChildProcess } from 'node:child_process';
import type { FastifyInstance } from 'fastify';
import { type Config, engineEnvironment, type Settings } from '../../config/config.ts';
import type { HttpProxy } from '../../config/network/proxy-settings.ts';
import { CONTRACT_FILES, workersFolder } from '../../config/paths.ts';
import { connectionsWithin } from '../../http/connections/open-files.ts';
import { buildServer } from '../../http/server.ts';
import { Admission } from '../../jobs/admission.ts';
import { JobRegistry } from '../../jobs/registry.ts';
import type { AnnounceSignal } from '../../lifecycle/callback/announce-signal.ts';
import { Announcer } from '../../lifecycle/callback/announcer.ts';
import type { BoundAddress } from '../../lifecycle/callback/callback-address.ts';
import { EngineSupervisor } from '../../lifecycle/engine-supervisor.ts';
import { newIdentity, type WorkerIdentity } from '../../lifecycle/identity.ts';
import { closeModel, type LoadedModel, loadModel } from '../../lifecycle/load-model.ts';
import { narrateWarmup } from '../../lifecycle/load-narration.ts';
import { registerWorker } from '../../lifecycle/local/registration.ts';
import { failureText, loadFailureKind } from '../../lifecycle/reasons.ts';
import { WorkerState } from '../../lifecycle/state.ts';
import type { StopRequest, StopRequests } from '../../lifecycle/stop-requests.ts';
import { finishLoad } from '../../lifecycle/template-profile.ts';
import { startWatchdog, WATCHDOG_START_MS, type Watched } from '../../lifecycle/watchdog.ts';
import { modelName } from '../../model/folder.ts';
import { preloadProxyClient } from '../../model/hub/network/proxy-client.ts';
import { narrate } from '../../narration/narrate.ts';
import { reportStarted } from '../../protocol/start/started.ts';
import { MemoryFigure } from '../../telemetry/memory-figure.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { ProcessFigures } from '../../telemetry/process-figures.ts';
import { closeServer, finishJobs, within } from './drain.ts';
import { DrainBudget } from './drain-budget.ts';
import { narrateFault } from './fault-report.ts';
import { gaugesOf } from './gauges.ts';
import { introduce } from './introduction.ts';
import { addressText, narratePage } from './page-address.ts';
import type { OpenTraces, Traces } from './traces.ts';

/** The parts that a worker starts with. */
export interface WorkerStart {
  readonly settings: Settings;
  /** Reason why other processes of the user can read a token; undefined if they cannot. */
  readonly exposure: string | undefined;
  readonly version: string;
  /** The proxy for the ready callback; undefined if its connection is direct. */
  readonly proxy?: HttpProxy | undefined;
  /** The export of traces; undefined if no variable asks for it. */
  readonly traces?: OpenTraces | undefined;
  /** The engine process, already forked. */
  readonly engine: ChildProcess;
  /** Already watches signals, standard input and the parent process. */
  readonly stops: StopRequests;
  /** Already watches SIGUSR2. */
  readonly announceSignal: AnnounceSignal;
  /** The sources of requests to stop that the watchdog watches too. */
  readonly watched: Watched;
}

export class Worker {
  readonly #start: WorkerStart;
  /** The settings, with the number of connections that the limit of open files allows. */
  readonly #config: Config;
  /** Maximum number of open file descriptors, if known. */
  readonly #openFiles: number | undefined;
  readonly #identity: WorkerIdentity;
  readonly #state = new WorkerState();
  readonly #stops: StopRequests;
  readonly #jobs: JobRegistry;
  readonly #metrics: Metrics;
  readonly #memory: MemoryFigure;
  readonly #supervisor: EngineSupervisor;
  readonly #app: FastifyInstance;
  readonly #announcer: Announcer;
  /** Undefined if traces are off. */
  readonly #traces: Traces | undefined;
  /** Resolves at the second signal or the second fault: the worker must stop at once. */
  readonly forced: Promise<void>;
  #model: LoadedModel | undefined;

  constructor(start: WorkerStart) {
    const { config } = start.settings;
    this.#start = start;
    this.#openFiles = new ProcessFigures().openFilesLimit;
    this.#config = { ...config, maxConnections: connectionsWithin(config.maxConnections, this.#openFiles) };
    this.#identity = newIdentity(config.workerId, start.version);
    this.#stops = start.stops;
    this.forced = start.stops.forced;
    this.#jobs = new JobRegistry({ ttlMs: config.replayTtl * 1000, bytes: config.replayMemory * 2 ** 20 });
    this.#supervisor = new EngineSupervisor(start.engine, this.#state, {
      environment: engineEnvironment(),
      config,
      giveUp: (kind, reason) => this.#fail(kind, reason),
    });
    const engine = this.#supervisor.client;
    const residentBytes = (): number | undefined => (this.#model ? this.#model.facts.residentBytes : 0);
    this.#memory = new MemoryFigure(() => ({ pid: engine.pid, residentBytes: residentBytes() }));
    const parts = { config, engine, state: this.#state, jobs: this.#jobs, memory: this.#memory };
    const model = config.metricsAliases === 'vllm' ? () => modelName(config) : undefined;
    this.#metrics = new Metrics(gaugesOf({ ...parts, model: () => this.#model }), new ProcessFigures(), model);
    this.#traces = start.traces?.open?.(this.#identity, () => this.#model?.spec.name ?? modelName(config));
    if (this.#traces) this.#metrics.include(this.#traces.tracer.metrics);
    this.#announcer = new Announcer({
      config,
      identity: this.#identity,
      memory: this.#memory,
      proxy: start.proxy,
      rejected: () => this.#stops.request('callback_failed', 1),
    });
    this.#app = this.#buildServer();
  }

  /** Starts, serves and drains. Resolves with the exit code. */
  async run(): Promise<number> {
    const { settings, exposure, proxy, traces } = this.#start;
    introduce({
      settings,
      exposure,
      secrets: [proxy?.password ?? '', ...(traces?.secrets ?? [])],
      config: this.#config,
      identity: this.#identity,
      metrics: this.#metrics,
      openFiles: this.#openFiles,
    });
    for (const { variable, reason } of traces?.problems ?? [])
      narrate('traces.setting_unusable', { setting: variable, reason });
    this.#traces?.introduce();
    this.#start.announceSignal.onSignal(() => this.#announcer.signalled());
    this.#stops.watchFaults((fault) => narrateFault('uncaught', fault));
    const lifetime = this.#listen().then(async (listening) => {
      // From here on, foreign files and requests may block the event loop. The thread starts while the engine
      // process waits for the model: an earlier start would delay the worker.
      const { missing, settled } = startWatchdog(this.#start.watched, this.#openFiles);
      void missing.then((reason) => narrate('watchdog.missing', { reason }));
      if (listening) await Promise.race([this.#load(), this.#stops.requested]);
      const request = await this.#stops.requested;
      await this.#drain(request, listening);
      return within(WATCHDOG_START_MS, settled).then(() => request.exitCode);
    });
    return Promise.race([lifetime, this.forced.then(() => 1)]);
  }

  #buildServer(): FastifyInstance {
    const parts = {
      config: this.#config,
      state: this.#state,
      jobs: this.#jobs,
      engine: this.#supervisor.client,
      metrics: this.#metrics,
      memory: this.#memory,
      tracer: this.#traces?.tracer,
      model: () => this.#model,
    };
    const shutdown = (reason: string): void => {
      // Before the answer is written: its headers belong to the drain.
      this.#state.enter('draining');
      this.#stops.request(reason);
    };
    const announce = () => this.#announcer.announce('announce');
    const admission = new Admission(parts);
    return buildServer({ ...parts, identity: this.#identity, admission, shutdown, announce }, CONTRACT_FILES);
  }

  /**
   * Listens before the model is loaded, so that probes are answered from the start. Resolves with false if
   * the address is not available.
   */
  async #listen(): Promise<boolean> {
    const { host, port } = this.#config;
    const address = addressText(host, port);
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
    registerWorker(workersFolder(), this.#identity, this.#bound());
    return true;
  }

  #address(): string {
    return addressText(this.#config.host, this.#bound().port);
  }

  /** The address that the server listens on, with the actual port. */
  #bound(): BoundAddress {
    const bound = this.#app.server.address();
    return typeof bound === 'object' && bound !== null
      ? bound
      : { address: this.#config.host, port: this.#config.port };
  }

  /** Loads the model, then accepts jobs. The ready callback runs in parallel. */
  async #load(): Promise<void> {
    if (this.#start.proxy) preloadProxyClient();
    try {
      this.#model = await loadModel(this.#config, (options, onLoadEvent) =>
        this.#supervisor.start(options, onLoadEvent),
      );
    } catch (error) {
      if (this.#stops.first) return; // The drain ended the load.
      const model_ref = modelName(this.#config);
      narrate('model.load_failed', { model_ref, error_kind: loadFailureKind(error), reason: failureText(error) });
      this.#stops.request('model_load_failed', 1);
      return;
    }
    const memory = await this.#memory.refresh();
    if (this.#stops.first) return;
    narrateWarmup(this.#model.facts, memory, this.#config.speculation === 'auto', this.#identity.instanceId);
    // If the engine was lost in the meantime, its supervisor sets the state after the restart.
    if (this.#state.phase === 'starting') this.#state.enter('ready');
    this.#announcer.ready(this.#model, { bound: this.#bound(), address: this.#address() });
    narratePage(this.#config, this.#bound().port);
    reportStarted();
    // A request that comes first derives the profile itself, and waits for the vocabulary.
    setImmediate(() => {
      const { client } = this.#supervisor;
      if (this.#model) this.#model = finishLoad(this.#model, (data) => client.setVocabulary(data));
    });
  }

  #fail(kind: string, reason: string): void {
    narrateFault(kind, reason);
    this.#stops.request(kind, 1);
  }

  /** Refuses new jobs, lets running jobs finish until their time is over, then closes everything. */
  async #drain(request: StopRequest, listening: boolean): Promise<void> {
    const { reason } = request;
    const budget = new DrainBudget(this.#config.shutdownTimeout * 1000, request.at);
    this.#announcer.close();
    this.#state.enter('draining');
    if (listening) await finishJobs(this.#jobs, reason, budget);
    this.#traces?.tracer.flush();
    const ms = budget.leftMs('close');
    const closings = [closeServer(this.#app, ms), this.#supervisor.close(ms), this.#model && closeModel(this.#model)];
    await within(ms, Promise.all(closings));
    await this.#traces?.close(budget.leftMs('close'));
    this.#jobs.flushReports();
    if (listening) narrate('server.shutdown', { reason, duration_ms: budget.elapsedMs });
  }
}
