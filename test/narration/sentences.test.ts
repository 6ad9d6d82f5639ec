/** Sentences that depend on their facts. */
import { describe, expect, test } from 'vitest';
import type { EventName, FactsOf } from '../../src/narration/catalogue/catalogue.ts';
import { capture, narrate } from '../../src/narration/narrate.ts';

async function said<E extends EventName>(event: E, facts: FactsOf<E>): Promise<string | undefined> {
  const { narrations } = await capture(() => narrate(event, facts));
  return narrations[0]?.human;
}

describe('an expected wait', () => {
  test.each([
    [0, 'a moment'],
    [49, 'a moment'],
    [380, 'about 0.4 s'],
    [1234.5, 'about 1.2 s'],
    [59_900, 'about 59.9 s'],
    [59_960, 'about 1 min'],
    [270_000, 'about 5 min'],
  ])('of %d ms is %s', async (eta_ms, words) => {
    const queue_position = 2;
    expect(await said('request.queued', { queue_position, eta_ms })).toBe(
      `Engine queues the request at position 2; its turn is in ${words}`,
    );
    expect(await said('queue.moved', { queue_position, eta_ms })).toBe(
      `Request moved up to queue position 2; its turn is in ${words}`,
    );
    expect(await said('prefill.progress', { tokens_done: 1, tokens_total: 3, prefill_ms: 5, eta_ms })).toBe(
      `Engine read 1 of 3 prompt tokens; the rest takes ${words}`,
    );
  });
});

describe('a cache hit', () => {
  const kept = { cached_tokens: 57, tokens_in: 100, slot: 0 };

  test('says where the prompt differs', async () => {
    expect(await said('cache.hit', { ...kept, diverged_at: 57 })).toBe(
      'Engine reuses 57 of 100 prompt tokens; the prompt differs from token 57 on',
    );
  });

  test('says that the prompt continues the content of the slot', async () => {
    expect(await said('cache.hit', kept)).toBe(
      'Engine reuses 57 of 100 prompt tokens; the prompt goes on where the slot ended',
    );
  });

  test('gives no reason if all possible tokens are reused', async () => {
    expect(await said('cache.hit', { ...kept, cached_tokens: 98 })).toBe(
      'Engine reuses 98 of 100 prompt tokens; the last two are always computed',
    );
  });
});

describe('where the time went', () => {
  const times = { duration_ms: 91.2, queue_ms: 1, prefill_ms: 4.4, decode_time_ms: 70 };

  test('has one unit, and the drafts if there are any', async () => {
    expect(await said('time.explained', times)).toBe('Request took 91 ms: queue 1, prefill 4, decode 70 ms');
    expect(await said('time.explained', { ...times, tokens_drafted: 20, tokens_accepted: 12 })).toBe(
      'Request took 91 ms: queue 1, prefill 4, decode 70 ms; 12 of 20 drafts kept',
    );
    expect(await said('time.explained', { ...times, tokens_drafted: 3, tokens_accepted: 0 })).toBe(
      'Request took 91 ms: queue 1, prefill 4, decode 70 ms',
    );
  });

  test('is in seconds if it is long, so that the longest fits', async () => {
    const long = { duration_ms: 86_400_000, queue_ms: 9_000_000, prefill_ms: 400_000, decode_time_ms: 77_000_000 };
    expect(await said('time.explained', { ...long, tokens_drafted: 1_048_576, tokens_accepted: 1_048_575 })).toBe(
      'Request took 86400 s: queue 9000, prefill 400, decode 77000 s; 1048575 of 1048576 drafts kept',
    );
  });
});

describe('the cache and the warm-up', () => {
  test('automatic slots name the memory they depend on, given slots do not', async () => {
    const cache = {
      slots: 8,
      chosen_by: 'asked',
      context_length: 512,
      cache_bytes: 8_388_608,
      cache_update: 'in_place',
    };
    expect(await said('cache.reserved', cache)).toBe(
      'Engine reserves 8 slots of 512 tokens in 8.4 MB, in place, as asked',
    );
    expect(await said('cache.reserved', { ...cache, chosen_by: 'auto', available_bytes: 22_100_000_000 })).toBe(
      'Engine reserves 8 slots of 512 tokens in 8.4 MB, in place; auto: ¼ of 22.1 GB free',
    );
    expect(await said('cache.reserved', { ...cache, chosen_by: 'auto' })).toMatch(/; auto: free memory unknown$/);
  });

  test('a growing cache is named', async () => {
    const cache = {
      slots: 2,
      chosen_by: 'asked',
      context_length: 512,
      cache_bytes: 8_388_608,
      cache_update: 'growing',
    };
    expect(await said('cache.reserved', cache)).toContain('in 8.4 MB, growing, as asked');
  });

  test('the reason of disabled drafts is named if it is rounding', async () => {
    const warm = { duration_ms: 41, slots: 8, context_length: 512, memory_bytes: 1, vram_bytes: 0 };
    expect(await said('warmup.done', { ...warm, speculation: 'on' })).toBe('Engine warmed up in 41 ms; speculation on');
    expect(await said('warmup.done', { ...warm, speculation: 'off', rounding_percent: 1.2345 })).toBe(
      'Engine warmed up in 41 ms; speculation off: runs of several tokens round differently, by 1.2 %',
    );
  });
});
