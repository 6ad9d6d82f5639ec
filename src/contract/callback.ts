/**
 * The ready callback, which the worker sends to a pool-manager, and the answer of `POST /announce`. The types
 * and the `webhooks` of openapi.yaml are derived from the schemas.
 */
import { z } from 'zod';
import { counted, named, WORKER_ID } from './schema.ts';

/** The causes of an announcement. */
export const ANNOUNCE_REASONS = ['started', 'announce', 'signal'] as const;
export type AnnounceReason = (typeof ANNOUNCE_REASONS)[number];

const INSTANCE_ID = z.string().meta({
  description: 'UUID of this life of the worker process: another life with the same `worker_id` has another one',
  examples: ['7a4be4a6-9d3c-4a0e-8a43-5a2b54cf2e0b'],
});
const MODEL = 'Name of the model';
const URL = 'URL at which this worker takes requests: `--advertise-url`, or the address of the worker';

/** Identity, address and model of a worker that is ready. */
const WorkerFacts = z.object({
  worker_id: WORKER_ID,
  instance_id: INSTANCE_ID,
  pid: counted('Process id of the worker'),
  started_at: z.iso.datetime().meta({ description: 'Time at which the process started, in UTC' }),
  model: z.string().meta({ description: MODEL, examples: ['haiku'] }),
  model_ref: z.string().meta({ description: 'The same as `model`: the name of the field in version 1' }),
  url: z.string().meta({ description: URL, examples: ['http://192.0.2.7:8080'] }),
  uri: z.string().meta({ description: 'The same as `url`: the name of the field in version 1' }),
  device: z.string().meta({ description: 'Device that runs the model: `cpu`, `cuda-0`, …', examples: ['cpu'] }),
  slots: counted('Number of requests that run at the same time'),
  context_length: counted('Tokens per slot, prompt and output together'),
  vram_bytes: counted('Bytes used on the device; 0 on the CPU'),
  memory_bytes: counted(
    'Bytes of memory used by the worker and its engine. Absent if the system does not report them',
  ).optional(),
  capabilities: z.array(z.string()).meta({ description: 'Capabilities of the worker' }),
  protocol: z.literal('sse').meta({ description: 'Protocol of the answers' }),
  version: z.string().meta({ description: 'Version of the worker' }),
  schema_version: counted(
    'Version of the fields of this object, of `/health` and of the events. A new field does not increase it',
  ),
});
export type WorkerFacts = Readonly<z.output<typeof WorkerFacts>>;

export const ReadyCallback = named(
  'ReadyCallback',
  WorkerFacts.extend({
    announcement: z.int().min(1).meta({ description: 'Number of the announcement in this life of the worker' }),
    reason: z.enum(ANNOUNCE_REASONS).meta({
      description: '`started`: the model is loaded. `announce`: `POST /announce` asked for it. `signal`: SIGUSR2 did',
    }),
  }).meta({ description: 'The same bytes in every attempt of one announcement, unless the local address changes' }),
);
/** The body of the ready callback. */
export type ReadyNotice = Readonly<z.output<typeof ReadyCallback>>;

export const AnnounceAnswer = named(
  'AnnounceAnswer',
  z.object({
    status: z.enum(['announcing', 'loading']).meta({
      description:
        '`announcing`: the worker calls the pool-manager within about a second; if it waits for the answer to an earlier call, ' +
        'after this answer (at most 5 s). `loading`: it calls when the model is loaded',
    }),
    worker_id: WORKER_ID,
    instance_id: INSTANCE_ID,
    announcement: z.int().min(1).meta({ description: 'Number of the announcement: `announcement` in the callback' }),
  }),
);
export type Announced = Readonly<z.output<typeof AnnounceAnswer>>;
