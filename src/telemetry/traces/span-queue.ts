/**
 * The spans that wait for their export, as texts: encoded when they end, so that an export does not block the
 * event loop for a whole batch. Bounded by number and by size. Pure.
 */

/** `refusal`: the span of a request that became no job. */
export type SpanRank = 'job' | 'refusal';

/** Maximum UTF-16 units of all texts: 512 requests with all their events. */
export const MAX_QUEUE_CHARS = 2 ** 24;
/** Maximum UTF-16 units of the texts of a batch; receivers refuse a body of some megabytes. */
export const MAX_BATCH_CHARS = 2 ** 20;

export class SpanQueue {
  readonly #limit: number;
  readonly #maxChars: number;
  #spans: string[] = [];
  /** Spans at the front of the list that were taken. */
  #taken = 0;
  #chars = 0;

  /** @param limit maximum number of spans */
  constructor(limit: number, maxChars = MAX_QUEUE_CHARS) {
    this.#limit = limit;
    this.#maxChars = maxChars;
  }

  get length(): number {
    return this.#spans.length - this.#taken;
  }

  /**
   * Adds a span. False if the queue is full. Refusals may fill half of it: a flood of them, such as that of
   * clients that try again, leaves the other half to the spans of jobs.
   */
  push(span: string, rank: SpanRank = 'job'): boolean {
    const share = rank === 'job' ? 1 : 1 / 2;
    if (this.length >= this.#limit * share || this.#chars + span.length > this.#maxChars * share) return false;
    this.#spans.push(span);
    this.#chars += span.length;
    return true;
  }

  /** Takes the oldest spans: at most `count`, and at least one if there is any. */
  take(count: number, maxChars = MAX_BATCH_CHARS): readonly string[] {
    let end = this.#taken;
    let chars = 0;
    for (; end < this.#spans.length && end - this.#taken < count; end += 1) {
      const { length } = this.#spans[end] ?? '';
      if (end > this.#taken && chars + length > maxChars) break;
      chars += length;
    }
    const batch = this.#spans.slice(this.#taken, end);
    this.#taken = end;
    this.#chars -= chars;
    // The list is cut only when half of it was taken: each span is moved once on average.
    if (this.#taken * 2 >= this.#spans.length) {
      this.#spans = this.#spans.slice(this.#taken);
      this.#taken = 0;
    } else this.#spans.fill('', this.#taken - batch.length, this.#taken);
    return batch;
  }
}
