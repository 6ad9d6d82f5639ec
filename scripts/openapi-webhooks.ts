/**
 * The webhook of openapi.yaml: the ready callback, which the worker sends. Its body comes from
 * src/contract/callback.ts, its times from src/lifecycle/callback/ready-callback.ts.
 */
import { SETTINGS } from '../src/config/settings.ts';
import { ANNOUNCE_SPACING_MS } from '../src/lifecycle/callback/announcer.ts';
import { CALLBACK_TIMES } from '../src/lifecycle/callback/ready-callback.ts';

const { spreadMs, firstDelayMs, longestDelayMs, answerMs } = CALLBACK_TIMES;
const seconds = (ms: number): string => `${ms / 1000} s`;

/** Credentials that the worker sends. */
export const CALLBACK_SECURITY = {
  callbackToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'The `--callback-token` of the worker. Without it, the callback has no token.',
  },
  callbackUser: {
    type: 'http',
    scheme: 'basic',
    description: 'User and password in `--callback-url`.',
  },
};

const DESCRIPTION = `\
The worker sends this request to the URL in \`--callback-url\`: once when its model is loaded, and again after \`POST /announce\` and SIGUSR2.
It serves from the moment the model is loaded, whatever the state of the callback. It sends no callback when it stops, or when its engine
was lost and restarted: read \`/health\`.

**Attempts.** The first attempt of an announcement begins within ${seconds(spreadMs)}, at a random time. The worker waits ${seconds(answerMs)} for the status, and reads no
body. After a failed attempt it waits ${seconds(firstDelayMs)}, and twice as long each time, with a jitter of a quarter, at most ${seconds(longestDelayMs)}. A longer
\`Retry-After\` counts, also at most ${seconds(longestDelayMs)}. All attempts of one announcement have the same \`Idempotency-Key\` and \`X-Correlation-Id\`: a
receiver that answers too late gets the same announcement again.

**The end of the attempts.** The attempts end after \`--callback-give-up\` (${SETTINGS['callback-give-up'].fallback} s; 0: never), with the status 410, and with a certificate that
the worker does not accept. A worker that the pool-manager never accepted then exits with code 1, after its running requests. A worker
that it has accepted before keeps serving, and narrates \`callback.abandoned\`.

**Announcements.** One at a time, and at most one in ${seconds(ANNOUNCE_SPACING_MS)}. The worker follows no redirect, so its token reaches \`--callback-url\` only. It
uses the proxies of \`HTTPS_PROXY\` and \`HTTP_PROXY\`.
`;

const RETRY = 'The worker tries again.';

const RESPONSES = {
  '2XX': { description: 'The pool-manager has accepted the worker. Any such status; the body is not read.' },
  '3XX': { description: `A redirect is not followed. ${RETRY}` },
  '401': { description: `The token is missing or wrong; the log line names \`--callback-token\`. ${RETRY}` },
  '403': { description: `As 401. ${RETRY}` },
  '410': {
    description:
      'The pool-manager does not want this worker: no other attempt is made. A worker that was never accepted exits with code 1.',
  },
  '429': { description: `Too many callbacks. ${RETRY} Send \`Retry-After\`; without it, \`RateLimit\` headers count.` },
  '503': { description: `The pool-manager is not ready. ${RETRY} Send \`Retry-After\`, as with every failure.` },
  default: { description: `Any other status, also 408, is a failure. ${RETRY}` },
};

/** The `webhooks` of the document. */
export function webhooks(): object {
  const header = (name: string, description: string, schema: object, example: string) => ({
    name,
    in: 'header',
    required: true,
    description,
    schema,
    example,
  });
  return {
    ready: {
      post: {
        tags: ['worker'],
        operationId: 'readyCallback',
        summary: 'The ready callback: the worker reports to the pool-manager',
        description: DESCRIPTION,
        security: [{ callbackToken: [] }, { callbackUser: [] }, {}],
        parameters: [
          header(
            'Idempotency-Key',
            '`<instance_id>-<announcement>`: equal in all attempts of one announcement, and different in any other one.',
            { type: 'string' },
            '7a4be4a6-9d3c-4a0e-8a43-5a2b54cf2e0b-1',
          ),
          header(
            'X-Correlation-Id',
            'Id of this announcement in the log lines of the worker.',
            { type: 'string', format: 'uuid' },
            '0d0b8dbd-5cb3-4e0c-9d2c-2f7c1f6f4f63',
          ),
        ],
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/ReadyCallback' } } },
        },
        responses: RESPONSES,
      },
    },
  };
}
