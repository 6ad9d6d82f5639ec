/**
 * Every message between the worker process and its engine process. The two processes share no code except
 * this folder, `onnx/` and `grammar/`. Numbers, names of files and devices, the reasons for failures, and the
 * grammars of outputs cross the boundary; prompt text and the environment do not. A grammar has the names of
 * members and the fixed texts of a schema. Types only.
 */
import type { VocabularyData } from '../grammar/matching/vocabulary.ts';
import type { PackedProgram } from '../grammar/packed-program.ts';
import type { DeviceName } from './devices.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from './loading.ts';
import type { LogitBias } from './logit-bias.ts';
import type { DeviceProbe } from './probe.ts';
import type { Refusal } from './reasons.ts';
import type { Sampling } from './sampling.ts';

/** One sequence to generate: a prompt of ids, and the rules that end it. */
export interface SequenceRequest {
  /** Chosen by the worker, unique for the life of one engine process. */
  readonly id: number;
  /** Prompt ids, at least one, each in [0, vocabulary). */
  readonly prompt: readonly number[];
  /** Maximum number of ids to generate, at least 1; prompt and maxTokens together must fit the context. */
  readonly maxTokens: number;
  /** No end-of-sequence id is drawn before this many ids are generated. */
  readonly minTokens: number;
  /** Ids that end the sequence; the id itself is not reported as a token. */
  readonly endIds: readonly number[];
  /** Applied in the order logit bias, penalties, grammar, temperature, top-k, top-p, min-p, draw. */
  readonly sampling: Sampling;
  /** Absent = no log-probabilities; n = log-probabilities of the chosen id and of the n likeliest ids. */
  readonly logprobs?: number;
  /**
   * Added to the logits of these ids before every other rule: -100 practically bans an id, +100 practically
   * forces it. `minTokens` still excludes the end ids. Does not change reported log-probabilities.
   */
  readonly logitBias?: readonly LogitBias[];
  /**
   * Absent = no scores of the prompt; n = `promptScores` with the log-probability of every prompt id after
   * the first, and with the n likeliest ids there, 0 to 20. The engine then computes the whole prompt, also
   * ids that a slot already contains.
   */
  readonly promptLogprobs?: number;
  /**
   * The id of a sequence that was submitted earlier and has the same prompt. While the prompt of that
   * sequence is computed, this sequence waits in its slot; then it gets a copy of the keys and values, where
   * the memory of the device can be copied. Otherwise, and if that sequence is unknown, has ended or is
   * paused, this sequence computes the rest of its prompt. It always waits for a prompt with scores, which
   * are reported before all outputs of that prompt.
   */
  readonly copyOf?: number;
  /**
   * Sequences share keys and values of equal prefixes only if their salts are equal: the time of a request
   * then tells nothing about the prompts of others. Default: an empty text.
   */
  readonly cacheSalt?: string;
  /**
   * The grammar of the output. Absent: any output. An end id is drawn only after a complete output. The
   * sequence ends with `eos` as soon as the output is complete and nothing can follow, also below
   * `minTokens`.
   */
  readonly grammar?: SequenceGrammar;
  /**
   * The first ids of the output, which an earlier sequence has generated: the engine computes them with the
   * prompt and draws the next one. They count as generated, advance the random generator, the penalties and
   * the grammar, and are not reported again. At most `maxTokens`, without an end id. A complete output ends
   * at once.
   */
  readonly continued?: readonly number[];
}

/** A grammar, and a name for the engine's caches: equal keys have equal programs. */
export interface SequenceGrammar {
  readonly key: string;
  readonly program: PackedProgram;
}

/** Worker → engine. */
export type ToEngine =
  /**
   * Load the library, open the model, run it once, then answer `opened` or `refused`; after `opened`, say
   * `alive` every `aliveMs` milliseconds. Sent once, first. Without `aliveMs`, no `alive` follows.
   */
  | { readonly kind: 'open'; readonly options: EngineOptions; readonly aliveMs?: number }
  /**
   * Answer `probed` without opening a model; the answer includes `devices` even if this machine lacks them.
   */
  | { readonly kind: 'probe'; readonly runtimeLibrary: string; readonly devices: readonly DeviceName[] }
  /**
   * The texts of the ids, for grammars. Sent at most once, before the first `submit` with a grammar; such a
   * sequence fails without it.
   */
  | { readonly kind: 'vocabulary'; readonly data: VocabularyData }
  /** Queue a sequence; its reports follow until one carries `finish`. */
  | { readonly kind: 'submit'; readonly request: SequenceRequest }
  /**
   * Stop a sequence between two steps; its last report has the reason `cancelled`. Unknown and finished ids
   * are ignored.
   */
  | { readonly kind: 'cancel'; readonly id: number }
  /**
   * Exclude a sequence from the steps; the sequence keeps its slot, or its position in the queue. Unknown and
   * finished ids are ignored.
   */
  | { readonly kind: 'pause'; readonly id: number }
  /** Continue a paused sequence. Unknown and finished ids are ignored. */
  | { readonly kind: 'resume'; readonly id: number }
  /** Release everything and exit 0. */
  | { readonly kind: 'close' };

/** A change of one sequence, narrated by the worker's request loop. */
export type Note =
  /**
   * The sequence waits for a slot, which it gets in about `etaMs` milliseconds; `position` 1 is next. Sent on
   * arrival and whenever the position changes.
   */
  | { readonly note: 'queued'; readonly position: number; readonly etaMs: number }
  /**
   * The sequence has a slot, whose KV cache already contains `cachedTokens` tokens of the prompt and the
   * continued output: from an earlier sequence, or copied from the slot of another one.
   * `divergedAt` = index of the first of these ids that differs from the slot's id; absent if one is a prefix
   * of the other. `copiedFrom` = the other row that had them, and if a sequence was running there; `savedMs`
   * = milliseconds by which they shorten the computation, about. `others` sequences run at the same time.
   */
  | {
      readonly note: 'started';
      readonly slot: number;
      readonly cachedTokens: number;
      readonly divergedAt?: number;
      readonly copiedFrom?: { readonly row: number; readonly running: boolean };
      readonly savedMs?: number;
      readonly others: number;
      readonly queueMs: number;
    }
  /**
   * The sequence has given back its slot and its memory: `tokens` = ids whose keys and values were dropped.
   * It waits in front of the queue; `started` follows when it continues.
   */
  | { readonly note: 'preempted'; readonly tokens: number }
  /**
   * `done` of `total` tokens of the prompt and of the continued output are in the KV cache after `elapsedMs`
   * of prefill; about `etaMs` remain. Sent after each chunk except the last.
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
  /**
   * Natural log of the probability under the model's logits, before bias, penalties and temperature; only on
   * request.
   */
  readonly logprob?: number;
  /** The likeliest ids and their log-probabilities, best first; only on request. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[];
}

/** The scores of consecutive ids of the prompt. */
export interface PromptScores {
  /** Index in the prompt of the first scored id, at least 1. */
  readonly from: number;
  readonly scores: readonly PromptScore[];
}

/**
 * The score of one id of the prompt, under the model's logits after the ids before it. `top` is best first,
 * the lowest id first on a tie: `top[0].id` is the arg-max. The log-probability of an id of probability 0 is
 * -9999, because JSON lacks -Infinity.
 */
export type PromptScore = Required<TokenReport>;

/** The time of a sequence in each phase, in milliseconds on the engine's clock. */
export interface Timings {
  readonly queueMs: number;
  readonly prefillMs: number;
  /** From the first token to the last one. */
  readonly decodeMs: number;
}

/** The facts about every finished sequence. */
export interface Finished {
  /**
   * Tokens of the prompt and of the continued output that were already in the slot's KV cache, or were copied
   * from another slot.
   */
  readonly cachedTokens: number;
  /**
   * Number of tokens that prompt lookup drafted, and how many of them were accepted. Tokens that a grammar
   * forces do not count.
   */
  readonly drafted: number;
  readonly accepted: number;
  /** Generated tokens for which the grammar left one id and no end; absent without a grammar. */
  readonly forced?: number;
  /** The sequence ended by `max_tokens` or a cancellation, before the output matched the grammar. */
  readonly incomplete?: true;
  readonly timings: Timings;
}

/**
 * How a sequence ended. Finishing is not an error; `failed` is a failure of this sequence, not of the engine.
 */
export type Finish =
  | (Finished & { readonly reason: 'max_tokens' | 'eos' | 'cancelled' })
  | (Finished & { readonly reason: FailureReason; readonly message: string });

/** `not_continuable`: the continued ids are no beginning of an output that the request allows. */
export type FailureReason = 'failed' | 'out_of_memory' | 'not_continuable';

/** The results of one step for one sequence. */
export interface SequenceReport {
  readonly id: number;
  readonly notes: readonly Note[];
  /** In order of generation; empty in a step that only prefilled. */
  readonly tokens: readonly TokenReport[];
  /** The scores of the prompt ids that the step computed, in order of the prompt; only on request. */
  readonly promptScores?: PromptScores;
  /** Present in the last report of a sequence; its slot is free by then. */
  readonly finish?: Finish;
}

/** The queue of an engine without a free slot, and its wait. Times are estimates in milliseconds. */
export interface QueueEstimate {
  /** Number of waiting sequences. */
  readonly length: number;
  /** Time until a sequence behind all of them has a slot. */
  readonly waitMs: number;
  /** Time by which one more waiting sequence delays the next one. */
  readonly eachMs: number;
}

/** The prompts of one step. */
export interface PrefillWork {
  /** Sequences whose prompts the step computed, in full or in part. */
  readonly sequences: number;
  /** Prompt tokens that the step computed. */
  readonly tokens: number;
  /** Milliseconds of the step that these tokens took, with the copies of prefixes. */
  readonly ms: number;
}

/** The memory of the KV cache. */
export interface CacheUse {
  /** Bytes that all rows hold. */
  readonly usedBytes: number;
  /** Ids of ended sequences that were dropped since the last report, for lack of memory or of rows. */
  readonly evicted?: { readonly rows: number; readonly tokens: number };
}

/** Engine → worker. */
export type FromEngine =
  | LoadEvent
  /** The model is open and has run once. */
  | { readonly kind: 'opened'; readonly facts: EngineFacts }
  /** The model cannot be opened; the engine process exits. */
  | ({ readonly kind: 'refused' } & Refusal)
  /** The answer to `probe`. */
  | { readonly kind: 'probed'; readonly probe: DeviceProbe }
  /** The engine lives: sent in the interval of `open`, between two steps. */
  | { readonly kind: 'alive' }
  /** The engine has read a `submit`. */
  | { readonly kind: 'received' }
  /**
   * The results of one step for all sequences. `batch` = number of sequences computed in the step, by
   * decoding or prefill; 0 in the report before a run, with cancellations, assigned slots and new queue
   * positions. `slotFreeMs` = estimated milliseconds until a slot is free; absent, as is `queue`, while a
   * slot is free. `stepMs` = milliseconds of the step; absent in a report before a run. `prefill` is absent
   * in a step that computed no prompt. `cache`: its state after the step.
   */
  | {
      readonly kind: 'report';
      readonly batch: number;
      readonly slotFreeMs?: number;
      readonly queue?: QueueEstimate;
      readonly stepMs?: number;
      readonly prefill?: PrefillWork;
      readonly cache?: CacheUse;
      readonly sequences: readonly SequenceReport[];
    };
