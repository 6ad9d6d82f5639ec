/**
 * The table of all settings: schema, default and help text. Flags, environment variables, `--help` and
 * .env.example come from it.
 */
import { z } from 'zod';
import './zod.ts';
import { DEVICE_FLAG, DEVICE_FLAG_HELP } from '../protocol/devices.ts';
import { encodedUrl } from '../protocol/text/url-text.ts';

/** One setting: its check, its default and its texts. */
export interface Setting<S extends z.ZodType> {
  readonly schema: S;
  /** The help text. */
  readonly meaning: string;
  /** The allowed values, as text. */
  readonly allowed: string;
  /** The default, in command-line form. The schema parses it. */
  readonly fallback?: z.input<S> | undefined;
  /** The default as the help shows it, if it is not a plain value. */
  readonly shown?: string;
  /** True for a flag without a value on the command line. */
  readonly boolean?: true;
  /**
   * The values that `.env` of the working directory may set; absent: all. A file that `--env-file` names may
   * set every value.
   */
  readonly fromFolder?: readonly string[];
}

/** Checks that the default of a row fits its schema. */
const setting = <S extends z.ZodType>(row: Setting<S>): Setting<S> => row;

/**
 * Only digits, because `Number('')` and `Number(' ')` are 0. One schema, because a start makes some twenty of
 * them.
 */
const wholeNumber = (least: number, most: number) =>
  z
    .custom<number | string>((given) => {
      const number = typeof given === 'number' || /^\d{1,15}$/.test(String(given)) ? Number(given) : Number.NaN;
      return Number.isInteger(number) && number >= least && number <= most;
    })
    .transform(Number);

interface NumberRow {
  readonly meaning: string;
  readonly least: number;
  readonly most: number;
  readonly fallback?: number;
  readonly unit?: string;
  readonly shown?: string;
}

/** A whole number of a range. */
function whole({ least, most, unit = '', ...row }: NumberRow) {
  const allowed = `${least} to ${most}${unit && ` ${unit}`}`;
  return setting({ ...row, schema: wholeNumber(least, most), allowed });
}

/** A time limit in seconds, up to a day. */
const seconds = (fallback: number, meaning: string) =>
  whole({ meaning, least: 1, most: 86_400, unit: 'seconds', fallback });

/** One word of a list. */
const choice = <const W extends string>(words: readonly W[], fallback: NoInfer<W>, meaning: string, fromFolder?: W[]) =>
  setting({ schema: z.enum(words), meaning, allowed: words.join(', '), fallback, ...(fromFolder && { fromFolder }) });

/** Maximum number of origins in `--cors-origin`. */
export const MAX_ORIGINS = 32;
/** Maximum number of threads in `--threads`. */
export const MAX_THREADS = 1024;
const httpUrl = z.url({ protocol: /^https?$/ }).transform(encodedUrl);
export const DTYPES = ['auto', 'fp32', 'fp16', 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'quantized', 'bnb4'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** All settings, in the order of the help text. */
export const SETTINGS = {
  'worker-id': setting({
    schema: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
    meaning: 'name of this worker, given by the pool-manager',
    allowed: '1 to 128 of A-Z a-z 0-9 . _ -',
    shown: 'a new UUID',
  }),
  model: setting({
    schema: z.string().min(1),
    meaning: 'folder of the model, or its name on the hub',
    allowed: 'a folder, or org/name[/folder][@revision] of a pulled model',
    shown: 'the embedded haiku model',
  }),
  dtype: choice(DTYPES, 'auto', 'data type of the weights; auto takes the best one for the device'),
  device: setting({
    schema: z.string().regex(DEVICE_FLAG),
    meaning: 'device for the model; auto takes the best device that works, and the CPU for a model under 32 MB',
    allowed: DEVICE_FLAG_HELP,
    fallback: 'auto',
  }),
  'runtime-library': setting({
    schema: z.string().min(1),
    meaning: 'path of another libonnxruntime with the same C API',
    allowed: 'a file',
    shown: 'the library of onnxruntime-node',
    fromFolder: [], // A library is code.
  }),
  host: setting({
    schema: z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/),
    meaning: 'address to listen on; a non-loopback address requires --api-token or --allow-unauthenticated',
    allowed: 'a host name or an IP address',
    fallback: '127.0.0.1',
    fromFolder: ['127.0.0.1', '::1', 'localhost'],
  }),
  port: whole({ meaning: 'port to listen on; 0 takes any free port', least: 0, most: 65_535, fallback: 8080 }),
  'callback-url': setting({
    schema: z.union([z.literal('none').transform(() => undefined), httpUrl]),
    meaning: 'URL of the pool-manager; the worker sends it a POST when it is ready',
    allowed: 'an http or https URL, or none',
    shown: 'none',
    fromFolder: ['none'], // The callback reports the address of this worker.
  }),
  'advertise-url': setting({
    schema: httpUrl,
    meaning: 'URL of this worker for the pool-manager (uri in the ready callback)',
    allowed: 'an http or https URL',
    shown: 'http://<host>:<port>; for 0.0.0.0 and ::, the local address of the callback',
    fromFolder: [], // Its host name is valid in `Host`, and the pool-manager sends the jobs there.
  }),
  'api-token': setting({
    schema: z.string().regex(/^[\x21-\x7e]{8,512}$/),
    meaning: 'bearer token that every route except /live and /ready requires',
    allowed: '8 to 512 visible ASCII characters',
    shown: 'none',
  }),
  'cors-origin': setting({
    schema: z
      .string()
      .transform((list) => (list === 'none' ? [] : list.split(',').map((origin) => origin.trim())))
      .pipe(z.array(z.string().regex(/^https?:\/\/[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/)).max(MAX_ORIGINS)),
    meaning: 'origins of web pages that may call the worker from a browser',
    allowed: `none, or up to ${MAX_ORIGINS} origins such as https://app.example, separated by commas`,
    fallback: 'none',
    fromFolder: ['none'],
  }),
  'max-connections': whole({
    meaning:
      'maximum number of connections; at the limit, the connection that has been idle longest is closed to admit a new one',
    least: 1,
    most: 65_535,
    fallback: 1024,
  }),
  'arrival-timeout': whole({
    meaning: 'answer 408 if a request is not complete after this many seconds; its headers get a third of the time',
    least: 1,
    most: 3600,
    unit: 'seconds',
    fallback: 30,
  }),
  'allow-unauthenticated': setting({
    schema: z.stringbool(),
    meaning: 'listen on a non-loopback address without a token',
    allowed: 'true or false',
    fallback: 'false',
    boolean: true,
    fromFolder: ['false'],
  }),
  slots: setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 256)]),
    meaning:
      'number of requests that run at the same time, decoded together if model and device allow it; auto takes as many as fit into a quarter of the free memory, at most 16',
    allowed: 'auto, or 1 to 256',
    fallback: 'auto',
  }),
  context: whole({
    meaning: 'tokens per slot, prompt and output together',
    least: 16,
    most: 1_048_576,
    shown: 'the context length of the model',
  }),
  'prefill-chunk': setting({
    schema: z.union([z.literal('auto'), wholeNumber(2, 4096)]),
    meaning:
      'maximum number of prompt tokens per run; other requests and cancels wait until the run ends; auto aims at a quarter of a second',
    allowed: 'auto, or 2 to 4096',
    fallback: 'auto',
  }),
  threads: setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, MAX_THREADS)]),
    meaning:
      'threads that compute on the CPU; auto takes one for each core that the process may use, fewer for a CPU quota, and one for a model under 32 MB',
    allowed: `auto, or 1 to ${MAX_THREADS}`,
    fallback: 'auto',
  }),
  speculation: choice(
    ['auto', 'on', 'off'],
    'auto',
    'draft tokens from earlier text for a request that runs alone; auto drafts only if drafts cannot change the output',
  ),
  queue: whole({
    meaning: 'maximum number of queued requests; further ones get 503',
    least: 0,
    most: 100_000,
    fallback: 64,
  }),
  'max-prompt-chars': setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 10_000_000)]),
    meaning:
      'maximum length of a prompt in characters; auto takes 16 for each token of the context, from 32768 to 2097152',
    allowed: 'auto, or 1 to 10000000',
    fallback: 'auto',
  }),
  'max-tokens-cap': setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 1_048_576)]),
    meaning: 'maximum value of max_tokens in a request, and its default; auto takes what the context leaves',
    allowed: 'auto, or 1 to 1048576',
    fallback: 'auto',
  }),
  'progress-every': whole({
    meaning: 'number of tokens between two progress narrations',
    least: 1,
    most: 100_000,
    fallback: 10,
  }),
  'request-timeout': seconds(
    300,
    'stop a request this many seconds after it was accepted; a request can set its own timeout_ms',
  ),
  'step-timeout': seconds(
    60,
    'restart the engine after this many seconds without a message; must exceed the longest step; loading does not count',
  ),
  'detach-timeout': seconds(
    30,
    'stop a job with on_disconnect "continue" after this many seconds without a subscriber',
  ),
  'slow-timeout': seconds(30, 'disconnect a stalled client after this many seconds'),
  'replay-ttl': seconds(60, 'keep the events of a finished job for this many seconds'),
  'replay-memory': whole({
    meaning: 'memory for the events of all jobs; the oldest finished jobs are dropped first',
    least: 1,
    most: 65_536,
    unit: 'MiB',
    fallback: 64,
  }),
  'shutdown-timeout': seconds(30, 'give running requests this many seconds to finish when the worker stops'),
  // A higher level would hide the lines that report the file.
  'log-level': choice(LOG_LEVELS, 'info', 'lowest level of the log lines on stdout', ['trace', 'debug', 'info']),
  'log-format': choice(['json', 'pretty'], 'json', 'format of the log lines on stdout'),
  narration: choice(
    ['full', 'human', 'off'],
    'full',
    'narration in streams: full sends the texts human, cute and story, human sends only human, off sends no narration; the log always has all texts',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** The environment variable of a setting: `max-tokens-cap` → `RBEES_MAX_TOKENS_CAP`. */
export const environmentName = (name: string): string => `RBEES_${name.replaceAll('-', '_').toUpperCase()}`;
