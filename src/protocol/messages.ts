/**
 * Every message between the worker process and its engine process. Both sides import this file, and those beside it about opening and about
 * looking around, and nothing else of each other. Numbers cross, names of files and devices, and the reasons of failures: no prompt text, no
 * environment.
 */
import type { EngineFacts, EngineOptions, LoadEvent } from './loading.ts';
import type { DeviceProbe } from './probe.ts';
import type { Sampling } from './sampling.ts';

/** One sequence to generate: a prompt of ids and the rules of when to stop. */
export interface SequenceRequest {
  /** Chosen by the worker, unique for the life of one engine process. */
  readonly id: number;
  /** Prompt ids, at least one, each in [0, vocabulary). */
  readonly prompt: readonly number[];
  /** Most ids to generate, at least 1; prompt + maxTokens must fit the context. */
  readonly maxTokens: number;
  /** End-of-sequence ids are not drawn before this many ids were generated. */
  readonly minTokens: number;
  /** Ids that end the sequence; the id itself is not reported as a token. */
  readonly endIds: readonly number[];
  /** Applied in the order penalties, temperature, top-k, top-p, min-p, draw. */
  readonly sampling: Sampling;
  /** Absent = no log-probabilities; n = those of the chosen id and of the n likeliest. */
  readonly logprobs?: number;
}

/** Worker → engine. */
export type ToEngine =
  /** Load the library, open the model, run once, then answer `opened` or `refused`. Sent once, first. */
  | { readonly kind: 'open'; readonly options: EngineOptions }
  /** Answer `probed` without opening anything; `devices` are told of whether or not they are there. */
  | { readonly kind: 'probe'; readonly runtimeLibrary: string; readonly devices: readonly string[] }
  /** Queue a sequence; its reports follow until one carries `finish`. */
  | { readonly kind: 'submit'; readonly request: SequenceRequest }
  /** Stop a sequence between two steps; its last report says `cancelled`. Unknown and finished ids are ignored. */
  | { readonly kind: 'cancel'; readonly id: number }
  /** Leave a sequence out of the steps; it keeps its place in the queue, or its slot. Unknown and finished ids are ignored. */
  | { readonly kind: 'pause'; readonly id: number }
  /** Let a paused sequence go on. Unknown and finished ids are ignored. */
  | { readonly kind: 'resume'; readonly id: number }
  /** Answer `pong` between two steps: asked when nothing else was heard for a while. */
  | { readonly kind: 'ping' }
  /** Release everything and exit 0. */
  | { readonly kind: 'close' };

/** Something the engine noticed about one sequence, narrated by the worker's request loop. */
export type Note =
  /** The sequence waits; `position` 1 is next, in about `etaMs` it has a slot. Sent on arrival and at each move. */
  | { readonly note: 'queued'; readonly position: number; readonly etaMs: number }
  /**
   * The sequence has a slot: `cached` prompt tokens were already in it and are kept; `divergedAt` = the place
   * in the prompt where the slot held another id; absent when the one begins with the other. `others` sequences run beside it.
   */
  | {
      readonly note: 'started';
      readonly slot: number;
      readonly cachedTokens: number;
      readonly divergedAt?: number;
      readonly others: number;
      readonly queueMs: number;
    }
  /** `done` of `total` prompt tokens are in the cache, after `elapsedMs` of prefill; about `etaMs` remain. Sent after every chunk but the last. */
  | {
      readonly note: 'prefill';
      readonly done: number;
      readonly total: number;
      readonly elapsedMs: number;
      readonly etaMs: number;
    };

/** One generated token. */
export interface TokenReport {
  readonly id: number;
  /** Natural log of the probability under the model's own logits (before penalties and temperature); only if asked for. */
  readonly logprob?: number;
  /** The likeliest ids and their log-probabilities, best first; only if asked for. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[];
}

/** Where a sequence's time went, in milliseconds on the engine's clock. */
export interface Timings {
  readonly queueMs: number;
  readonly prefillMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
}

/** What every finished sequence tells. */
export interface Finished {
  /** Prompt tokens that were kept from an earlier sequence. */
  readonly cachedTokens: number;
  /** Tokens that were drafted, and how many of them were what decoding gave. */
  readonly drafted: number;
  readonly accepted: number;
  readonly timings: Timings;
}

/** Why a sequence is over. Finishing is not an error; `failed` is this sequence's failure, not the engine's. */
export type Finish =
  | (Finished & { readonly reason: 'max_tokens' | 'eos' | 'cancelled' })
  | (Finished & { readonly reason: 'failed' | 'out_of_memory'; readonly message: string });

/** What one step did for one sequence. */
export interface SequenceReport {
  readonly id: number;
  readonly notes: readonly Note[];
  /** In order of generation; empty in a step that only prefilled. */
  readonly tokens: readonly TokenReport[];
  /** Present on the last report of a sequence: by then its slot is free. */
  readonly finish?: Finish;
}

/** Engine → worker. */
export type FromEngine =
  | LoadEvent
  /** The model is open and one run has been done. */
  | { readonly kind: 'opened'; readonly facts: EngineFacts }
  /** The model could not be opened; the engine exits. `message` is the runtime's own. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The answer to `probe`. */
  | { readonly kind: 'probed'; readonly probe: DeviceProbe }
  /** The answer to `ping`. */
  | { readonly kind: 'pong' }
  /**
   * Everything one step did, for all sequences together. `batch` = sequences computed in it: rows that decoded, and those that prefilled;
   * 0 when it is told before the run: who was cancelled, who has a slot, who moved.
   * `slotFreeMs` = when a slot is expected to be free; absent while one is.
   */
  | {
      readonly kind: 'report';
      readonly batch: number;
      readonly slotFreeMs?: number;
      readonly sequences: readonly SequenceReport[];
    };
