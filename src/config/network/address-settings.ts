/**
 * The settings about the address of the worker: where it listens, who may call it, and to whom it reports.
 */
import { z } from 'zod';
import { encodedUrl } from '../../protocol/text/url-text.ts';
import { setting, whole, wholeNumber } from '../setting-rows.ts';

/** Maximum number of origins in `--cors-origin`. */
export const MAX_ORIGINS = 32;
/** Limits of `--ready-fd`. Node.js keeps the engine process from inheriting descriptors up to 15. */
export const READY_FD = { least: 3, most: 15 } as const;
/** A bearer token. */
export const token = z.string().regex(/^[\x21-\x7e]{8,512}$/);
export const httpUrl = z.url({ protocol: /^https?$/ }).transform(encodedUrl);

/** In the order of the help text. */
export const ADDRESS_SETTINGS = {
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
  'callback-token': setting({
    schema: token,
    meaning: 'bearer token that the worker sends with the ready callback',
    allowed: '8 to 512 visible ASCII characters',
    shown: 'none',
    fromFolder: [], // The same source as --callback-url.
  }),
  'callback-give-up': whole({
    meaning:
      'end the attempts of a ready callback after this many seconds, and exit with code 1 if the pool-manager never accepted one; 0 tries for ever',
    least: 0,
    most: 86_400,
    unit: 'seconds',
    fallback: 600,
  }),
  'advertise-url': setting({
    schema: httpUrl,
    meaning: 'URL of this worker for the pool-manager (uri in the ready callback)',
    allowed: 'an http or https URL',
    shown: 'http://<host>:<port>; for 0.0.0.0 and ::, the local address of the callback',
    fromFolder: [], // Its host name is valid in `Host`, and the pool-manager sends the jobs there.
  }),
  'ready-fd': setting({
    schema: z.union([z.literal('none').transform(() => undefined), wholeNumber(READY_FD.least, READY_FD.most)]),
    meaning:
      'number of an inherited file descriptor (pipe, socket or file); serve writes one line of JSON into it when it is ready, and closes it',
    allowed: `none, or ${READY_FD.least} to ${READY_FD.most}`,
    shown: 'none',
    fromFolder: [], // The parent process opens it.
  }),
  'api-token': setting({
    schema: token,
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
} as const;

/** True for a setting that only a server has: a command that does not listen ignores its variable. */
export const isAddressSetting = (name: string): boolean => Object.hasOwn(ADDRESS_SETTINGS, name);
