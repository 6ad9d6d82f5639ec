/**
 * Every setting in one table: its zod schema, default and meaning. Flags, environment, help text and .env.example come from here.
 */
import { z } from 'zod';
import { DEVICE_FLAG, DEVICE_FLAG_HELP } from '../protocol/devices.ts';

/** One setting: how a value is checked, what is shown of it. */
export interface Setting<S extends z.ZodType> {
  readonly schema: S;
  /** As shown in the help; the parsed default is `fallback`. */
  readonly shown: string;
  readonly fallback?: unknown;
  readonly meaning: string;
  readonly allowed: string;
  /** A flag that takes no value on the command line. */
  readonly boolean?: true;
}

/** `shown` is the default in the help where it is not a plain value. */
const setting = <S extends z.ZodType>(
  schema: S,
  fallback: z.input<S> | undefined,
  allowed: string,
  meaning: string,
  shown = String(fallback),
): Setting<S> => ({ schema, shown, fallback, meaning, allowed });

/** Digits only: `Number('')` and `Number(' ')` are 0, which nobody means. */
const whole = (least: number, most: number) =>
  z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\d{1,15}$/)
        .transform(Number),
    ])
    .pipe(z.int().min(least).max(most));
const seconds = whole(1, 86_400);
const httpUrl = z.url({ protocol: /^https?$/ });
export const DTYPES = ['auto', 'fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'quantized', 'bnb4'] as const;

/** Every setting, in the order of the help text. */
export const SETTINGS = {
  'worker-id': setting(
    z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
    undefined,
    '1 to 128 of A-Z a-z 0-9 . _ -',
    'identity given by the pool-manager',
    'a fresh UUID',
  ),
  model: setting(
    z.string().min(1),
    undefined,
    'a folder, or org/name[/folder][@revision] of a model that was pulled',
    'the model: its folder, or its name on the hub',
    'the embedded haiku model',
  ),
  dtype: setting(z.enum(DTYPES), 'auto', DTYPES.join(' '), 'which weight file of the folder'),
  device: setting(
    z.string().regex(DEVICE_FLAG),
    'auto',
    DEVICE_FLAG_HELP,
    'where the model runs; auto is the best that really opens, and the CPU for a model under 32 MB',
  ),
  'runtime-library': setting(
    z.string().min(1),
    undefined,
    'a file',
    'path of another libonnxruntime with the same C API',
    'the one inside onnxruntime-node',
  ),
  host: setting(
    z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/),
    '127.0.0.1',
    'a host name or an IP address',
    'address to listen on; beyond loopback it needs --api-token or --allow-unauthenticated',
  ),
  port: setting(whole(0, 65_535), 8080, '0 to 65535', 'port to listen on; 0 takes a free one'),
  'callback-url': setting(
    z.union([z.literal('none').transform(() => undefined), httpUrl]),
    undefined,
    'an http or https URL, or none',
    'the ready URL of the pool-manager',
    'none',
  ),
  'advertise-url': setting(
    httpUrl,
    undefined,
    'an http or https URL',
    'the uri told to the pool-manager',
    'http://<host>:<port>',
  ),
  'api-token': setting(
    z.string().regex(/^[\x21-\x7e]{8,512}$/),
    undefined,
    '8 to 512 visible ASCII characters',
    'bearer token for every route but liveness and readiness',
    'none',
  ),
  'cors-origin': setting(
    z
      .string()
      .transform((list) => (list === 'none' ? [] : list.split(',').map((origin) => origin.trim())))
      .pipe(z.array(z.string().regex(/^https?:\/\/[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/)).max(32)),
    'none',
    'none, or up to 32 origins such as https://app.example, separated by commas',
    'web pages that may use the worker from a browser',
  ),
  'max-connections': setting(whole(1, 65_535), 1024, '1 to 65535', 'connections at the same time; more are closed'),
  'arrival-timeout': setting(
    whole(1, 3600),
    30,
    '1 to 3600 seconds',
    'time a request may take to arrive, its headers a third of it',
  ),
  'allow-unauthenticated': {
    ...setting(z.stringbool(), 'false', 'true or false', 'listen beyond loopback without a token'),
    boolean: true,
  } as Setting<z.ZodCodec<z.ZodString, z.ZodBoolean>>,
  slots: setting(
    z.union([z.literal('auto'), whole(1, 256)]),
    'auto',
    'auto, or 1 to 256',
    'sequences that have a place in the cache, decoded together where model and device allow it; auto is what a quarter of the free memory holds, 16 at most',
  ),
  context: setting(
    whole(16, 1_048_576),
    undefined,
    '16 to 1048576',
    'tokens per slot, prompt and output',
    "the model's",
  ),
  'prefill-chunk': setting(
    z.union([z.literal('auto'), whole(2, 4096)]),
    'auto',
    'auto, or 2 to 4096',
    'most prompt tokens computed in one run, which is how long a cancel or a neighbour waits; auto takes a quarter of a second',
  ),
  speculation: setting(
    z.enum(['auto', 'on', 'off']),
    'auto',
    'auto, on, off',
    'draft tokens from what was said before for a request that runs alone; auto drafts where it cannot change the output',
  ),
  queue: setting(whole(0, 100_000), 64, '0 to 100000', 'requests that may wait; beyond it 503'),
  'max-prompt-chars': setting(whole(1, 10_000_000), 32_768, '1 to 10000000', 'most characters of a prompt'),
  'max-tokens-cap': setting(whole(1, 1_048_576), 2048, '1 to 1048576', 'highest max_tokens of a request'),
  'progress-every': setting(whole(1, 100_000), 10, '1 to 100000', 'tokens between two progress narrations'),
  'request-timeout': setting(
    seconds,
    300,
    '1 to 86400 seconds',
    'time a request may take from its acceptance, unless it brings its own timeout_ms',
  ),
  'step-timeout': setting(
    seconds,
    60,
    '1 to 86400 seconds',
    'time without a word of the engine after which it counts as hung and is replaced; longer than any step, loading is not counted',
  ),
  'detach-timeout': setting(
    seconds,
    30,
    '1 to 86400 seconds',
    'time a job with on_disconnect "continue" goes on without a reader',
  ),
  'slow-timeout': setting(seconds, 30, '1 to 86400 seconds', 'time a reader that is far behind may take nothing'),
  'replay-ttl': setting(seconds, 60, '1 to 86400 seconds', 'time the events of a job can be read after its end'),
  'replay-memory': setting(
    whole(1, 65_536),
    64,
    '1 to 65536 MiB',
    'memory of the events of all jobs together; the oldest jobs that are over make room',
  ),
  'shutdown-timeout': setting(seconds, 30, '1 to 86400 seconds', 'time running requests have to finish at a stop'),
  'log-level': setting(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
    'info',
    'trace debug info warn error fatal',
    'lowest level printed',
  ),
  'log-format': setting(z.enum(['json', 'pretty']), 'json', 'json, pretty', 'form of the lines on stdout'),
  narration: setting(
    z.enum(['full', 'human', 'off']),
    'full',
    'full, human, off',
    'what streams carry: full is human, cute and story; the log always has all',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** A setting's name as environment variable. */
export const environmentName = (name: string): string => `RBEES_${name.replaceAll('-', '_').toUpperCase()}`;
