/** Ends an attempt that receives nothing for too long, or too little in a minute. */
import { BrokenTransfer } from './pull-error.ts';

/** Times in milliseconds. */
export interface TransferLimits {
  readonly stallMs: number;
  readonly leastBytes: number;
  readonly rateWindowMs: number;
}

export class TransferWatch {
  readonly #limits: TransferLimits;
  readonly #controller = new AbortController();
  readonly #began = performance.now();
  readonly #stall: NodeJS.Timeout;
  readonly #rate: NodeJS.Timeout;
  #bytes = 0;
  #bytesBefore = 0;

  constructor(limits: TransferLimits) {
    this.#limits = limits;
    const { stallMs, rateWindowMs } = limits;
    this.#stall = setTimeout(() => this.#end(`received no data for ${stallMs / 1000} s`), stallMs);
    this.#rate = setInterval(() => this.#checkRate(), rateWindowMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Records the arrival of bytes. */
  received(bytes: number): void {
    this.#bytes += bytes;
    this.#stall.refresh();
  }

  /**
   * True if the attempt was slower than the least rate, however it ended: bytes at such a rate are no
   * progress, because a server could send them for ever.
   */
  get isTooSlow(): boolean {
    const { leastBytes, rateWindowMs } = this.#limits;
    return this.#bytes * rateWindowMs < leastBytes * (performance.now() - this.#began);
  }

  stop(): void {
    clearTimeout(this.#stall);
    clearInterval(this.#rate);
  }

  #checkRate(): void {
    const { leastBytes, rateWindowMs } = this.#limits;
    const bytes = this.#bytes - this.#bytesBefore;
    this.#bytesBefore = this.#bytes;
    if (bytes >= leastBytes) return;
    this.#end(`received ${bytes} bytes in ${rateWindowMs / 1000} s, at least ${leastBytes} are required`);
  }

  #end(reason: string): void {
    this.stop();
    this.#controller.abort(new BrokenTransfer(reason));
  }
}
