/**
 * All announcements of a worker: the first one when the model is loaded, and one for each request
 * (`POST /announce`, SIGUSR2). One at a time, and at most one per second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import type { HttpProxy } from '../../config/network/proxy-settings.ts';
import type { Announced, AnnounceReason, WorkerFacts } from '../../contract/callback.ts';
import { WorkerError } from '../../contract/errors.ts';
import { narrate } from '../../narration/narrate.ts';
import { ThrottledCount } from '../../narration/throttle.ts';
import type { MemoryFigure } from '../../telemetry/memory-figure.ts';
import { identityFields, type WorkerIdentity } from '../identity.ts';
import type { LoadedModel } from '../load-model.ts';
import type { BoundAddress } from './callback-address.ts';
import type { CallbackTimes } from './ready-callback.ts';
import { writeReadyLine } from './ready-line.ts';
import { ReportedAddress } from './reported-address.ts';

/** Least time between the starts of two announcements. Requests of this time share one announcement. */
export const ANNOUNCE_SPACING_MS = 1000;

type AnnouncerConfig = Pick<Config, 'callbackGiveUp'> &
  Partial<Pick<Config, 'callbackUrl' | 'callbackToken' | 'advertiseUrl' | 'readyFd'>>;

export interface AnnouncerParts {
  readonly config: AnnouncerConfig;
  readonly identity: WorkerIdentity;
  readonly memory: Pick<MemoryFigure, 'bytes'>;
  readonly proxy: HttpProxy | undefined;
  /** Called if the pool-manager never accepted this worker and no other attempt is made. */
  readonly rejected: () => void;
  /** Replaces times of the announcements; for tests. */
  readonly times?: Partial<CallbackTimes & { readonly spacingMs: number }>;
}

/** Where the server listens. */
export interface Listening {
  readonly bound: BoundAddress;
  /** Host and port, with the host of `--host`. */
  readonly address: string;
}

interface Request {
  readonly number: number;
  readonly reason: AnnounceReason;
}

/** Parts that exist when the model is loaded. */
interface Ready {
  readonly model: LoadedModel;
  readonly url: string;
  readonly address: ReportedAddress | undefined;
}

interface Receiver {
  readonly url: string;
  /**
   * The clients for HTTPS and names, which no other part of a worker needs. Loaded at the start, while file
   * descriptors are free.
   */
  readonly code: Promise<typeof import('./ready-callback.ts')>;
}

export class Announcer {
  readonly #parts: AnnouncerParts;
  /** The receiver of the announcements; undefined without `--callback-url`. */
  readonly #receiver: Receiver | undefined;
  readonly #stop = new AbortController();
  readonly #unset = new ThrottledCount((times) => narrate('callback.unset', { times }));
  #count = 1;
  /** The next announcement. */
  #next: Request | undefined = { number: 1, reason: 'started' };
  /** Ends the current announcement before its next attempt. */
  #newer = new AbortController();
  #ready: Ready | undefined;
  #isRunning = false;
  /** True if the pool-manager has accepted an announcement. */
  #isAccepted = false;
  /** Value of the monotonic clock at the start of the last announcement. */
  #began = Number.NEGATIVE_INFINITY;

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
    const { callbackUrl: url } = parts.config;
    this.#receiver = url === undefined ? undefined : { url, code: import('./ready-callback.ts') };
  }

  /** The model is loaded: writes the line of `--ready-fd`, and begins the first announcement. */
  ready(model: LoadedModel, { bound, address }: Listening): void {
    const { config, proxy } = this.#parts;
    const { callbackUrl, advertiseUrl, readyFd } = config;
    const url = `http://${address}`;
    const sources = { advertiseUrl, bound, url, isProxied: proxy !== undefined };
    const reported = callbackUrl === undefined ? undefined : new ReportedAddress({ ...sources, callbackUrl });
    this.#ready = { model, url: advertiseUrl ?? url, address: reported };
    if (readyFd !== undefined) writeReadyLine(readyFd, { ...this.#facts(this.#ready), address });
    void this.#run();
  }

  /**
   * Begins another announcement, with a number of its own. A running one makes no further attempt; an attempt
   * that waits for its answer is completed first. Before the model is loaded, the request shares the first
   * announcement.
   * @throws WorkerError `NO_CALLBACK` without `--callback-url`
   */
  announce(reason: AnnounceReason): Announced {
    if (this.#parts.config.callbackUrl === undefined) throw new WorkerError('NO_CALLBACK');
    const { number } = this.#next ?? this.#request(reason);
    const { workerId, instanceId } = this.#parts.identity;
    const status = this.#ready ? 'announcing' : 'loading';
    return { status, worker_id: workerId, instance_id: instanceId, announcement: number };
  }

  /** The process got SIGUSR2. Without `--callback-url`, the signal is narrated. */
  signalled(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#parts.config.callbackUrl === undefined) this.#unset.add();
    else this.announce('signal');
  }

  /** Ends the current announcement at once. No other one follows. */
  close(): void {
    this.#stop.abort();
    this.#unset.flush();
  }

  /** Makes the next announcement, which can begin before this method returns. */
  #request(reason: AnnounceReason): Request {
    this.#count += 1;
    const request = { number: this.#count, reason };
    this.#next = request;
    this.#newer.abort();
    void this.#run();
    return request;
  }

  async #run(): Promise<void> {
    const ready = this.#ready;
    const receiver = this.#receiver;
    const { times } = this.#parts;
    if (this.#isRunning || ready === undefined || receiver === undefined) return;
    this.#isRunning = true;
    for (let next = this.#next; next && !this.#stop.signal.aborted; next = this.#next) {
      const spacing = this.#began + (times?.spacingMs ?? ANNOUNCE_SPACING_MS) - performance.now();
      if (spacing > 0) await sleep(spacing, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      else if (!(await this.#send(receiver, ready, next))) break;
    }
    this.#isRunning = false;
  }

  /** Sends the next announcement. Resolves with false if the pool-manager never accepted this worker. */
  async #send({ url, code }: Receiver, ready: Ready, { number, reason }: Request): Promise<boolean> {
    const { config, proxy, times } = this.#parts;
    this.#next = undefined;
    this.#newer = new AbortController();
    this.#began = performance.now();
    const { sendAnnouncement } = await code;
    const outcome = await sendAnnouncement({
      url,
      notice: { ...this.#facts(ready), announcement: number, reason },
      token: config.callbackToken,
      proxy,
      urlAt: (connection) => ready.address?.at(connection) ?? ready.url,
      giveUpMs: config.callbackGiveUp * 1000,
      isVital: !this.#isAccepted,
      stop: this.#stop.signal,
      next: this.#newer.signal,
      times,
    });
    if (outcome === 'accepted') this.#isAccepted = true;
    const isRejected = outcome === 'failed' && !this.#isAccepted;
    if (isRejected) this.#parts.rejected();
    return !isRejected;
  }

  #facts({ model: { spec, facts }, url }: Ready): WorkerFacts {
    const { identity, memory } = this.#parts;
    const { bytes } = memory;
    return {
      worker_id: identity.workerId,
      ...identityFields(identity),
      model: spec.name,
      model_ref: spec.name,
      url,
      uri: url,
      device: facts.device,
      slots: facts.slots,
      context_length: facts.context,
      vram_bytes: facts.deviceBytes,
      ...(bytes !== undefined && { memory_bytes: bytes }),
      capabilities: ['text-gen'],
      protocol: 'sse',
      version: identity.version,
    };
  }
}
