/** Why a choice of a chat ended, in the words of OpenAI. */
import type { ChoiceEndEvent } from '../../../jobs/job-events.ts';

/** An output that was cut off is `length`, also in the middle of a call. */
export function chatFinish({ reason, toolCalls }: Pick<ChoiceEndEvent, 'reason' | 'toolCalls'>): string {
  if (reason === 'max_tokens') return 'length';
  return toolCalls > 0 ? 'tool_calls' : 'stop';
}
