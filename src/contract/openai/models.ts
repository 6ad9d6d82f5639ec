/** The answers of `GET /v1/models`. Only the routes of OpenAI's dialect load this file. */
import { z } from 'zod';
import { counted, named } from '../schema.ts';

const text = (description: string) => z.string().meta({ description });

export const OpenAIModelSchema = named(
  'OpenAIModel',
  z
    .object({
      id: text('Name of the model'),
      object: z.literal('model').meta({ description: 'Kind of the object' }),
      created: counted('When the worker started, in seconds since 1970'),
      owned_by: text('Name of this program'),
      root: text('Name of the model'),
      parent: z.null().meta({ description: 'A worker has no adapters' }),
      max_model_len: counted('Tokens of prompt and output together'),
    })
    .meta({ description: 'The model of this worker' }),
);
export type OpenAIModel = z.output<typeof OpenAIModelSchema>;

export const OpenAIModelsSchema = named(
  'OpenAIModels',
  z
    .object({
      object: z.literal('list').meta({ description: 'Kind of the object' }),
      data: z.array(OpenAIModelSchema).meta({ description: 'One model' }),
    })
    .meta({ description: 'The models of this worker: one' }),
);
export type OpenAIModels = z.output<typeof OpenAIModelsSchema>;
