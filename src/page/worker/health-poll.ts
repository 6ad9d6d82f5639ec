/** The state of the worker, asked every two seconds while the page is visible. */
import type { WorkerClient } from '../../client/client.ts';
import { RefusedError } from '../../client/errors.ts';
import type { Health } from '../../contract/answers.ts';

/** `offline`: nobody answers. `locked`: the worker requires a token. */
export type WorkerView =
  | { readonly state: 'unknown' }
  | { readonly state: 'known'; readonly health: Health }
  | { readonly state: 'offline'; readonly health: Health | undefined }
  | { readonly state: 'locked'; readonly health: undefined };

const EVERY_MS = 2000;
/** A worker that runs a request of this page changes quickly. */
const BUSY_MS = 1000;

export class HealthPoll {
  readonly #client: () => WorkerClient;
  readonly #onView: (view: WorkerView) => void;
  #view: WorkerView = { state: 'unknown' };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;
  isBusy = false;

  constructor(client: () => WorkerClient, onView: (view: WorkerView) => void) {
    this.#client = client;
    this.#onView = onView;
    document.addEventListener('visibilitychange', () => this.ask());
  }

  get health(): Health | undefined {
    return 'health' in this.#view ? this.#view.health : undefined;
  }

  /** Asks now, and from now on. */
  ask(): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    // The answer that was aborted tells nothing about the worker.
    this.#asking = undefined;
    if (document.visibilityState !== 'visible') return;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const timeout = setTimeout(() => asking.abort(), 5 * EVERY_MS);
    const view = await this.#client()
      .health(asking.signal)
      .then(
        (health): WorkerView => ({ state: 'known', health }),
        (error: unknown): WorkerView =>
          error instanceof RefusedError && error.code === 'UNAUTHORIZED'
            ? { state: 'locked', health: undefined }
            : { state: 'offline', health: this.health },
      );
    clearTimeout(timeout);
    if (this.#asking !== asking) return;
    this.#view = view;
    // First, because another program at this address may answer in a form that cannot be drawn.
    this.#timer = setTimeout(() => this.ask(), this.isBusy ? BUSY_MS : EVERY_MS);
    this.#onView(view);
  }
}
