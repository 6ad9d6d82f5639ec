/**
 * The states of a job and the reasons for the end of an output, as plain data: handlers use them without the
 * schemas.
 */

/** `stopping`: a reason to stop exists, and the engine has not confirmed it yet. */
export const JOB_STATES = ['waiting', 'running', 'stopping', 'finished'] as const;
export type JobState = (typeof JOB_STATES)[number];

export const STOP_REASONS = ['max_tokens', 'eos', 'stop_sequence'] as const;
export type StopReasonOfOutput = (typeof STOP_REASONS)[number];
