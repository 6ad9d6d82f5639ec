/**
 * `GET /v1/models` and `GET /v1/models/{model}`. Routers take the list as a readiness probe, so it is 503
 * until the worker accepts jobs.
 */
import { WorkerError } from '../../../contract/errors.ts';
import type { OpenAIModel, OpenAIModels } from '../../../contract/openai/models.ts';
import type { LoadedModel } from '../../../lifecycle/load-model.ts';
import type { Handler } from '../../dialect/family.ts';
import { shownText } from '../../validate.ts';
import type { OpenAIParts } from '../shared/order.ts';

const OWNER = 'rbees-workerd';

function modelOf({ spec, facts }: LoadedModel, { identity }: OpenAIParts): OpenAIModel {
  return {
    id: spec.name,
    object: 'model',
    created: Math.floor(Date.parse(identity.startedAt) / 1000),
    owned_by: OWNER,
    root: spec.name,
    parent: null,
    max_model_len: facts.context,
  };
}

/** The handler of the list. @throws WorkerError, from the handler, while the worker accepts no jobs */
export function modelsHandler(parts: OpenAIParts): Handler['handle'] {
  return (): OpenAIModels => ({ object: 'list', data: [modelOf(parts.admission.requireReady(), parts)] });
}

/**
 * The handler of one model. Its id is the rest of the path, percent-encoded or not.
 * @throws WorkerError, from the handler, `NOT_FOUND` for another id, and while the worker accepts no jobs
 */
export function modelHandler(parts: OpenAIParts): Handler['handle'] {
  return ({ params }): OpenAIModel => {
    const model = modelOf(parts.admission.requireReady(), parts);
    const { '*': id = '' } = params as { readonly '*'?: string };
    if (id === model.id) return model;
    const message = `The model ${JSON.stringify(shownText(id))} does not exist; this worker has ${JSON.stringify(model.id)}.`;
    throw new WorkerError('NOT_FOUND', message);
  };
}
