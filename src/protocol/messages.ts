/**
 * All messages between the worker process and its engine process. Both sides import this folder, and nothing
 * else of each other. Messages contain numbers, names of files and devices, and reasons of failures; no
 * prompt text, no environment.
 */
import type { EngineFacts, EngineOptions, LoadEvent } from './loading.ts';
import type { DeviceProbe } from './probe.ts';

/**
 * How the next token is drawn. The engine applies the fields in the order penalties, temperature, top-k,
 * top-p, min-p, draw.
 */
export interface Sampling {
  /** 0 = greedy: the arg-max of the logits after penalties, lowest id on a tie. */
  readonly temperature: number;
  /** Keep the k likeliest ids; 0 = off. */
  readonly topK: number;
  /** Keep the smallest set of ids whose probabilities reach p; 1 = off, 0 keeps one. */
  readonly topP: number;
  /** Keep ids at least this fraction as likely as the likeliest; 0 = off. */
  readonly minP: number;
  /** Divides positive and multiplies negative logits of every id in prompt or output; 1 = off. */
  readonly repetitionPenalty: number;
  /** Subtracted once per occurrence of an id in the output; 0 = off. */
  readonly frequencyPenalty: number;
  /** Subtracted once from every id that occurs in the output; 0 = off. */
  readonly presencePenalty: number;
  /** 0 … 2⁵³−1: the same seed draws the same tokens, whatever runs beside it. */
  readonly seed: number;
}

/** One sequence to generate: a prompt of ids, and when to stop. */
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
  readonly sampling: Sampling;
  /** Absent = no log-probabilities; n = those of the chosen id and of the n likeliest. */
  readonly logprobs?: number;
}

/** Worker → engine. */
export type ToEngine =
  /** Load the library, open the model, run once, then answer `opened` or `refused`. Sent once, first. */
  | { readonly kind: 'open'; readonly options: EngineOptions }
  /** Answer `probed` without opening a model. The answer contains `devices` even if they are missing. */
  | { readonly kind: 'probe'; readonly runtimeLibrary: string; readonly devices: readonly string[] }
  /** Queue a sequence; its reports follow until one carries `finish`. */
  | { readonly kind: 'submit'; readonly request: SequenceRequest }
  /** Stop a sequence between two steps, with a last report. Unknown and finished ids are ignored. */
  | { readonly kind: 'cancel'; readonly id: number }
  /** Leave a sequence out of the steps; it keeps position or slot. Unknown and finished ids are ignored. */
  | { readonly kind: 'pause'; readonly id: number }
  /** Resume a paused sequence. Unknown and finished ids are ignored. */
  | { readonly kind: 'resume'; readonly id: number }
  /** Answer `pong` between two steps. Sent after a time without other messages from the engine. */
  | { readonly kind: 'ping' }
  /** Release everything and exit 0. */
  | { readonly kind: 'close' };

/** News of one sequence, narrated by the worker's request loop. */
export type Note =
  /** The sequence waits for about `etaMs`; `position` 1 is next. Sent on arrival and at each new position. */
  | { readonly note: 'queued'; readonly position: number; readonly etaMs: number }
  /**
   * The sequence has a slot, which already contained the first `cachedTokens` of the prompt. `divergedAt` =
   * index of the first prompt id that differs from the slot's; absent if one begins with the other. `others`
   * sequences run beside it.
   */
  | {
      readonly note: 'started';
      readonly slot: number;
      readonly cachedTokens: number;
      readonly divergedAt?: number;
      readonly others: number;
      readonly queueMs: number;
    }
  /**
   * `done` of `total` prompt tokens are in the cache, after `elapsedMs` of prefill; about `etaMs` remain.
   * Sent after every chunk but the last.
   */
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
  /** Natural log of the probability by the model's own logits, before penalties and temperature; optional. */
  readonly logprob?: number;
  /** The likeliest ids and their log-probabilities, best first; only if asked for. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[];
}

/** Durations of a sequence, in milliseconds on the engine's clock. */
export interface Timings {
  readonly queueMs: number;
  readonly prefillMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
}

/** Facts about every finished sequence. */
export interface Finished {
  /** Prompt tokens that an earlier sequence had left in the slot. */
  readonly cachedTokens: number;
  /** Drafted tokens, and how many of them decoding confirmed. */
  readonly drafted: number;
  readonly accepted: number;
  readonly timings: Timings;
}

/**
 * Why a sequence has ended. Finishing is not an error; `failed` is this sequence's failure, not the engine's.
 */
export type Finish =
  | (Finished & { readonly reason: 'max_tokens' | 'eos' | 'cancelled' })
  | (Finished & { readonly reason: 'failed' | 'out_of_memory'; readonly message: string });

/** The result of one step for one sequence. */
export interface SequenceReport {
  readonly id: number;
  readonly notes: readonly Note[];
  /** In order of generation; empty in a step that only prefilled. */
  readonly tokens: readonly TokenReport[];
  /** Present on the last report of a sequence; its slot is free by then. */
  readonly finish?: Finish;
}

/** Engine → worker. */
export type FromEngine =
  | LoadEvent
  /** The model is open and has run once. */
  | { readonly kind: 'opened'; readonly facts: EngineFacts }
  /** The model could not be opened; the engine exits. `message` is the runtime's own. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The answer to `probe`. */
  | { readonly kind: 'probed'; readonly probe: DeviceProbe }
  /** The answer to `ping`. */
  | { readonly kind: 'pong' }
  /**
   * The results of one step for all sequences. `batch` = sequences that decoded or prefilled in it; 0 for the
   * report before the run, with cancels, new slots and new positions in the queue.
   * `slotFreeMs` = expected time until a slot is free; absent while one is.
   */
  | {
      readonly kind: 'report';
      readonly batch: number;
      readonly slotFreeMs?: number;
      readonly sequences: readonly SequenceReport[];
    };
