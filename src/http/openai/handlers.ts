/** The handlers of OpenAI's dialect. Loaded when one of its routes is first used. */
import type { FamilyHandlers } from '../dialect/family.ts';
import { chatHandler } from './chat/handler.ts';
import { completionsHandler } from './completions/handler.ts';
import { modelHandler, modelsHandler } from './models/handler.ts';
import { responsesHandler } from './responses/handler.ts';
import type { OpenAIParts } from './shared/order.ts';

/** Operation ids of the family. */
export type OpenAIRoute = 'chatCompletions' | 'completions' | 'responses' | 'models' | 'model';

export function openAIHandlers(parts: OpenAIParts): FamilyHandlers<OpenAIRoute> {
  return {
    chatCompletions: chatHandler(parts),
    completions: completionsHandler(parts),
    responses: responsesHandler(parts),
    models: modelsHandler(parts),
    model: modelHandler(parts),
  };
}
