/** Sentences that depend on their facts. */
import { describe, expect, test } from 'vitest';
import type { EventName, FactsOf } from '../../src/narration/catalogue/catalogue.ts';
import { capture, narrate } from '../../src/narration/narrate.ts';

async function humanOf<E extends EventName>(event: E, facts: FactsOf<E>): Promise<string | undefined> {
  const { narrations } = await capture(() => narrate(event, facts));
  return narrations[0]?.human;
}

describe('an estimated wait', () => {
  test.each([
    [0, 'a moment'],
    [49, 'a moment'],
    [380, 'about 0.4 s'],
    [1234.5, 'about 1.2 s'],
    [59_900, 'about 59.9 s'],
    [59_960, 'about 1 min'],
    [270_000, 'about 5 min'],
  ])('of %d ms reads as %s', async (eta_ms, text) => {
    const queue_position = 2;
    expect(await humanOf('request.queued', { queue_position, eta_ms })).toBe(
      `Engine queues the request at position 2; it starts in ${text}`,
    );
    expect(await humanOf('queue.moved', { queue_position, eta_ms })).toBe(
      `Request moved up to queue position 2; it starts in ${text}`,
    );
    expect(await humanOf('prefill.progress', { tokens_done: 1, tokens_total: 3, prefill_ms: 5, eta_ms })).toBe(
      `Engine read 1 of 3 prompt tokens; the rest takes ${text}`,
    );
  });
});

describe('a cache hit', () => {
  const kept = { cached_tokens: 57, tokens_in: 100, slot: 0 };

  test('names the position from which the prompt differs', async () => {
    expect(await humanOf('cache.hit', { ...kept, diverged_at: 57 })).toBe(
      'Engine reuses 57 of 100 prompt tokens; the prompt differs from position 57 on',
    );
  });

  test('reports that the prompt continues the tokens of the slot', async () => {
    expect(await humanOf('cache.hit', kept)).toBe(
      'Engine reuses 57 of 100 prompt tokens; the prompt continues where the slot ended',
    );
  });

  test('makes no claim about the last two tokens', async () => {
    expect(await humanOf('cache.hit', { ...kept, cached_tokens: 98 })).toBe(
      'Engine reuses 98 of 100 prompt tokens; the last two are always computed',
    );
  });
});

describe('the parts of the time', () => {
  const times = { duration_ms: 91.2, queue_ms: 1, prefill_ms: 4.4, decode_time_ms: 70 };

  test('share one unit, with the drafts if some were accepted', async () => {
    expect(await humanOf('time.explained', times)).toBe('Request took 91 ms: queue 1, prefill 4, decode 70 ms');
    expect(await humanOf('time.explained', { ...times, tokens_drafted: 20, tokens_accepted: 12 })).toBe(
      'Request took 91 ms: queue 1, prefill 4, decode 70 ms; 12 of 20 drafts kept',
    );
    expect(await humanOf('time.explained', { ...times, tokens_drafted: 3, tokens_accepted: 0 })).toBe(
      'Request took 91 ms: queue 1, prefill 4, decode 70 ms',
    );
  });

  test('name the tokens that a grammar forced', async () => {
    const start = 'Request took 91 ms: queue 1, prefill 4, decode 70 ms';
    expect(await humanOf('time.explained', { ...times, tokens_forced: 0 })).toBe(start);
    expect(await humanOf('time.explained', { ...times, tokens_forced: 1 })).toBe(`${start}; grammar forced 1 token`);
    const drafts = { tokens_drafted: 20, tokens_accepted: 12 };
    expect(await humanOf('time.explained', { ...times, ...drafts, tokens_forced: 9 })).toBe(
      `${start}; 12 drafts, 9 forced`,
    );
  });

  test('are in seconds for a long request, so that the longest sentence fits', async () => {
    const long = { duration_ms: 86_400_000, queue_ms: 9_000_000, prefill_ms: 400_000, decode_time_ms: 77_000_000 };
    expect(await humanOf('time.explained', { ...long, tokens_drafted: 1_048_576, tokens_accepted: 1_048_575 })).toBe(
      'Request took 86400 s: queue 9000, prefill 400, decode 77000 s; 1048575 of 1048576 drafts kept',
    );
  });
});

describe('the cache and the warm-up', () => {
  test('automatic memory of the cache names the free memory, given slots name the flag', async () => {
    const cache = {
      slots: 8,
      chosen_by: 'asked',
      context_length: 512,
      cache_bytes: 8_388_608,
      cache_update: 'in_place',
    };
    expect(await humanOf('cache.reserved', cache)).toBe(
      'Engine uses up to 8.39 MB: 8 slots of 512 tokens (in-place cache, set by --slots)',
    );
    expect(await humanOf('cache.reserved', { ...cache, chosen_by: 'auto', available_bytes: 22_100_000_000 })).toBe(
      'Engine uses up to 8.39 MB: 8 slots of 512 tokens (in-place cache, auto, 22.1 GB free)',
    );
    expect(await humanOf('cache.reserved', { ...cache, chosen_by: 'auto' })).toMatch(/cache, auto\)$/);
  });

  test('a limited cache names the setting or the limit of the system', async () => {
    const limited = {
      device: 'cpu',
      context_length: 26_000,
      requested_context: 131_072,
      cache_rows: 64,
      requested_rows: 64,
      cache_bytes: 1_200_000_000,
    };
    expect(await humanOf('cache.limited', { ...limited, limited_by: 'memory' })).toBe(
      'Raise --cache-memory: 1.20 GB of cache hold 26000 of 131072 tokens in one slot',
    );
    expect(await humanOf('cache.limited', { ...limited, limited_by: 'address_space', cache_rows: 16 })).toBe(
      'Limited address space: the cache has 16 of 64 rows, with 26000 of 131072 tokens',
    );
  });

  test('a growing cache is named', async () => {
    const cache = {
      slots: 2,
      chosen_by: 'asked',
      context_length: 512,
      cache_bytes: 8_388_608,
      cache_update: 'growing',
    };
    expect(await humanOf('cache.reserved', cache)).toContain('(growing cache, set by --slots)');
  });

  test('the warm-up gives the reason if speculation is off or runs are limited', async () => {
    const warm = {
      duration_ms: 41,
      slots: 8,
      context_length: 512,
      memory_bytes: 1,
      vram_bytes: 0,
      threads: 2,
      threads_reason: 'cores',
    };
    expect(await humanOf('warmup.done', { ...warm, speculation: 'on' })).toBe(
      'Engine warmed up in 41 ms, 2 threads; speculation on',
    );
    expect(await humanOf('warmup.done', { ...warm, speculation: 'off', rounding_percent: 1.2345 })).toBe(
      'Engine warmed up in 41 ms, 2 threads; speculation off: longer runs differ by 1.2 %',
    );
    expect(await humanOf('warmup.done', { ...warm, speculation: 'off', trusted_tokens: 16 })).toBe(
      'Engine warmed up in 41 ms, 2 threads; speculation off; runs of at most 16 tokens',
    );
  });
});

describe('the number of threads', () => {
  test.each([
    ['setting', undefined, '1024 threads (--threads)'],
    ['small_model', undefined, '1024 threads (small model)'],
    ['cpu_quota', 1.2345, '1024 threads (quota 1.23)'],
    ['affinity', undefined, '1024 threads (affinity)'],
    ['cores', undefined, '1024 threads'],
  ])('is reported with its reason: %s', async (threads_reason, cpu_quota, text) => {
    const human = await humanOf('warmup.done', {
      duration_ms: 1230,
      slots: 8,
      context_length: 512,
      memory_bytes: 1,
      vram_bytes: 0,
      threads: 1024,
      threads_reason,
      ...(cpu_quota !== undefined && { cpu_quota }),
      speculation: 'off',
      rounding_percent: 12.345,
    });
    expect(human).toBe(`Engine warmed up in 1.23 s, ${text}; speculation off: longer runs differ by 12 %`);
  });
});

describe('a change of the batch', () => {
  const change = { batch_size: 3, window_ms: 512, tokens_per_sec: 61.4, tokens_per_sec_before: 94.2 };

  test('has the number of others that moved, and the speed before and after', async () => {
    const grew = { ...change, other_sequences: 2, other_sequences_before: 0 };
    expect(await humanOf('batch.grew', grew)).toBe('2 others joined the batch (2 now): 94 → 61 tokens/s');
    const shrank = { ...change, other_sequences: 2, other_sequences_before: 3 };
    expect(await humanOf('batch.shrank', shrank)).toBe('1 other left the batch (2 now): 94 → 61 tokens/s');
  });

  test('has no speed before it, if there were too few tokens', async () => {
    const { tokens_per_sec_before, ...late } = { ...change, other_sequences: 1, other_sequences_before: 0 };
    expect(tokens_per_sec_before).toBeDefined();
    expect(await humanOf('batch.grew', late)).toBe('1 other joined the batch (1 now): 61 tokens/s');
  });
});

describe('a slow phase', () => {
  const slow = {
    tokens_per_sec: 9.26,
    tokens_per_sec_best: 94.2,
    window_ms: 2013,
    other_sequences: 7,
    prompt_tokens_beside: 4096,
    paused_ms: 1870,
    cpu_pressure_percent: 83.1,
  };

  test.each([
    ['neighbours', 'the engine also decodes 7 others in each step'],
    ['long_prompt', 'the engine also reads 4096 prompt tokens of others'],
    ['machine', 'the machine is busy, its CPU pressure is 83 %'],
    ['reader', 'the reader lagged, so the generation paused for 1.87 s'],
    ['unknown', 'no cause was measured'],
  ])('names its cause: %s', async (cause, end) => {
    expect(await humanOf('generation.slowed', { ...slow, cause })).toBe(`Speed fell from 94 to 9.3 tokens/s: ${end}`);
  });

  test('fits its longest sentence', async () => {
    const most = { ...slow, tokens_per_sec: 49_999, tokens_per_sec_best: 99_999.9, cpu_pressure_percent: 100 };
    const human = await humanOf('generation.slowed', { ...most, cause: 'machine' });
    expect(human).toMatch(/ 100 %$/);
  });
});

describe('requests at the loss of an engine', () => {
  const loss = { error_kind: 'engine_lost', reason: 'signal SIGKILL' };

  test('are counted as running and waiting', async () => {
    expect(await humanOf('engine.lost', { ...loss, requests_running: 2, requests_waiting: 1 })).toBe(
      'Engine process was lost with 2 requests running and 1 waiting: signal SIGKILL',
    );
    expect(await humanOf('engine.lost', { ...loss, requests_running: 1, requests_waiting: 0 })).toBe(
      'Engine process was lost with 1 request running: signal SIGKILL',
    );
  });
});

test('a cancel gives the reason last, where a cut does the least harm', async () => {
  const cancel = { reason: 'asked by the caller', duration_ms: 2.41 };
  expect(await humanOf('request.cancelled', { ...cancel, tokens_discarded: 1 })).toBe(
    'Engine cancelled the request in 2.4 ms after 1 token (asked by the caller)',
  );
  expect(await humanOf('cancel.unconfirmed', cancel)).toBe(
    'Engine did not confirm the cancel within 2 ms; the slot stays busy (asked by the caller)',
  );
});
