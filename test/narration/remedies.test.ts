/**
 * Sentences at WARN and above keep their remedy, with facts as long as they can be; sentences below WARN keep
 * their facts.
 */
import { describe, expect, test } from 'vitest';
import { describeReason, describeRefusal } from '../../src/lifecycle/reasons.ts';
import { CATALOGUE, type EventName, type FactsOf } from '../../src/narration/catalogue/catalogue.ts';
import type { Entry } from '../../src/narration/entry.ts';
import { FIELDS } from '../../src/narration/fields.ts';
import { capture, type Narration, narrate } from '../../src/narration/narrate.ts';
import { withReason } from '../../src/narration/phrases.ts';
import type { Reason } from '../../src/protocol/reasons.ts';

const NARROW = 100;
const SEVERE = ['WARN', 'ERROR', 'FATAL'];
const LONG_PATH = `/srv/${'models/'.repeat(580)}x`;
const LONG_NAME = `organisation-${'with-a-long-name-'.repeat(13)}/model`;

/** As long as each text can be. Other texts come from a list of the code. */
const LONGEST: Readonly<Record<string, string>> = {
  model_ref: LONG_NAME,
  file: `onnx/${'deep/'.repeat(60)}model_q4f16.onnx_data`,
  url: `http://${'pool.'.repeat(60)}internal:9000/ready`,
  address: `${'host.'.repeat(48)}internal:65535`,
  fields: Array.from({ length: 90 }, (_, index) => `field_${index}`).join(', '),
  settings: Array.from({ length: 90 }, (_, index) => `setting-${index}`).join(', '),
  settings_file: LONG_PATH,
  client_address: '2001:0db8:85a3:0000:0000:8a2e:0370:7334%interface0',
  device: 'cuda-15',
  from_device: 'cuda-15',
  dtype: 'q4f16',
};

function factsOf(entry: Entry, changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = [...entry.required, ...entry.optional] as (keyof typeof FIELDS)[];
  return Object.fromEntries(
    names.map((name) => [name, name in changes ? changes[name] : (LONGEST[name] ?? FIELDS[name].example)]),
  );
}

async function narrated(event: EventName, changes: Readonly<Record<string, unknown>> = {}): Promise<Narration> {
  const facts = factsOf(CATALOGUE[event] as unknown as Entry, changes);
  const { narrations } = await capture(() => narrate(event, facts as FactsOf<EventName>));
  const [narration] = narrations;
  if (!narration) throw new Error('Nothing was narrated');
  return narration;
}

const plan = {
  slots: 256,
  rows: 304,
  context: 1_048_576,
  weights: 199_700_000,
  cache: 96_000e9,
  budget: 96_000e9,
  logits: 999e9,
  work: 64e6,
  total: 97_000e9,
  free: 22.1e9,
};
const doesNotFit = { code: 'does_not_fit', device: 'cuda-15', plan } as const;

/** Every reason with a remedy. */
const REASONS: readonly (readonly [remedy: string, reason: Reason])[] = [
  ['use --slots 12', { ...doesNotFit, suggestion: { slots: 12 } }],
  ['use --slots 1 --context 1048560', { ...doesNotFit, suggestion: { slots: 1, context: 1_048_560 } }],
  ['use --cache-memory 20000', { ...doesNotFit, suggestion: { cacheMemory: 20_000 * 2 ** 20 } }],
  [
    'use --cache-memory 12 or more',
    { code: 'cache_too_small', cacheMemory: 2 ** 20, tokens: 22, least: 256, leastMemory: 12 * 2 ** 20 },
  ],
  ['use smaller weights (--dtype)', doesNotFit],
  ['run npm run install:cuda', { code: 'provider_missing' }],
  ['use another --runtime-library', { code: 'provider_not_built' }],
  ['run rbees-workerd doctor', { code: 'library_missing', library: `libcu${'d'.repeat(400)}.so.9` }],
  ['update the NVIDIA driver', { code: 'driver_too_old' }],
  ['use --dtype q4 or fp32', { code: 'no_half_floats' }],
  ['use less --cache-memory', { code: 'out_of_memory' }],
  ['use --device cpu', { code: 'no_experts' }],
  ['update the driver', { code: 'computes_wrong', difference: 0.31, comparedWith: 'cpu' }],
  [
    'use --device cpu or cuda',
    { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'softcap', value: 30.000001 },
  ],
];

describe('the remedy of a refusal is in the sentence, and begins on a narrow screen', () => {
  test.each(REASONS)('%s', async (remedy, reason) => {
    const refused = describeRefusal({ device: 'cuda-15', reason });
    const failed = await narrated('model.load_failed', { reason: refused });
    const skipped = await narrated('device.fallback', { reason: describeReason(reason), hardware: 'present' });
    for (const { human, level } of [failed, skipped]) {
      expect(SEVERE).toContain(level);
      expect(human.length).toBeLessThanOrEqual(300);
      expect(human).toContain(remedy);
      expect(human.indexOf(remedy)).toBeLessThan(NARROW - 15);
    }
    const short = await narrated('model.load_failed', { model_ref: 'haiku', reason: describeReason(reason) });
    expect(short.human.slice(0, NARROW)).toContain(remedy);
    // The engine can refuse the model again when it is restarted.
    const lost = `the engine was lost 3 times in ten minutes, most recently by ${refused}`;
    for (const one of [
      await narrated('worker.failed', { reason: lost }),
      await narrated('engine.lost', { reason: refused }),
    ])
      expect(one.human).toContain(remedy);
  });
});

/** The other events with a remedy, with the facts of their longest sentence. */
const EVENTS: readonly (readonly [remedy: string, event: EventName, changes: Readonly<Record<string, unknown>>])[] = [
  ['Use --env-file .env', 'settings.ignored', {}],
  ['Run the worker as a user of its own', 'secrets.exposed', { reason: `EACCES ${LONG_PATH}` }],
  ['only SIGKILL ends a blocked event loop', 'watchdog.missing', { reason: LONG_PATH }],
  ['Choose another --port', 'server.bind_failed', { reason: 'EADDRINUSE' }],
  ['Choose a --host of this machine', 'server.bind_failed', { reason: 'EADDRNOTAVAIL' }],
  ['Choose a --port from 1024 on', 'server.bind_failed', { reason: 'EACCES' }],
  ['Choose another --host or --port', 'server.bind_failed', { reason: LONG_PATH }],
  ['--max-connections 1024', 'connections.refused', {}],
  ['Worker retries in 60 s', 'callback.failed', { reason: LONG_PATH, retry_after_ms: 60_000 }],
  [
    'set NODE_EXTRA_CA_CERTS to the PEM file',
    'callback.failed',
    {
      reason: `set NODE_EXTRA_CA_CERTS to the PEM file: ${LONG_PATH}`,
      retry_after_ms: undefined,
      timeout_ms: undefined,
    },
  ],
  ['Set --advertise-url', 'callback.unreachable', {}],
  ['Ask again with POST /announce', 'callback.abandoned', { reason: LONG_PATH }],
  ['Start the worker with --callback-url', 'callback.unset', {}],
  ['Keep the other end of --ready-fd 3 open', 'ready_fd.failed', { reason: 'EPIPE' }],
  ['run git lfs pull', 'model.problem', { reason: 'is a Git LFS pointer: run git lfs pull' }],
  ['The request can be retried', 'request.engine_lost', { reason: LONG_PATH, engine_losses: undefined }],
  ['Change the request', 'request.engine_lost', { reason: LONG_PATH }],
];

test.each(EVENTS)('%s is at the start of %s', async (remedy, event, changes) => {
  const { human } = await narrated(event, changes);
  expect(human.length).toBeLessThanOrEqual(300);
  expect(human.slice(0, NARROW)).toContain(remedy);
});

test('the last attempt of the ready callback names the setting', async () => {
  const { narrations } = await capture(() =>
    narrate('callback.failed', {
      url: LONGEST['url'] ?? '',
      announcement: 1,
      attempt: 15,
      timeout_ms: 600_000,
      error_kind: 'callback_failed',
      reason: LONG_PATH,
    }),
  );
  expect(narrations[0]).toMatchObject({ level: 'FATAL', human: expect.stringMatching(/^Check --callback-url/) });
});

describe.each(Object.keys(CATALOGUE) as EventName[])('%s', (event) => {
  test('keeps the limit of its level', async () => {
    const { level, human } = await narrated(event, { reason: `fix it: ${LONG_PATH}` });
    expect(human.length).toBeLessThanOrEqual(SEVERE.includes(level) ? 300 : 100);
  });

  test('is not cut below WARN, except in a reason at its end', async () => {
    // With the longest reason of those that the code has for an event below WARN.
    const { level, human } = await narrated(event, { reason: 'the deadline passed', hardware: 'absent' });
    if (!SEVERE.includes(level)) expect(human).not.toMatch(/…$/);
  });

  test('can be printed with its whole reason', async () => {
    const { human, reason } = await narrated(event, { reason: `fix it: ${LONG_PATH.slice(0, 2000)}` });
    const whole = withReason(human, reason);
    const mentions = human.includes('fix it');
    if (mentions) expect(whole).toContain(reason);
    expect(whole.startsWith(human.replace(/…$/, ''))).toBe(true);
  });
});

test('a secret in a name is removed before the name is shortened', async () => {
  const secret = `${'a'.repeat(10)}-api_key=${'s3cr3t'.repeat(20)}`;
  const { human } = await narrated('model.load_failed', { model_ref: secret, reason: 'x' });
  expect(human).not.toContain('s3cr3t');
  expect(human).toContain('REDACTED');
});
