/** The sentences for the engine's reasons, and the fact `hardware`, which sets the level of a narration. */
import { describe, expect, test } from 'vitest';
import { EngineLostError, EngineRefusedError, type Loss } from '../../src/bridge/child.ts';
import {
  describeReason,
  describeRefusal,
  failureText,
  hardwareOf,
  loadFailureKind,
  lossKind,
  lossText,
} from '../../src/lifecycle/reasons.ts';
import type { Reason, ReasonCode } from '../../src/protocol/reasons.ts';

const sizes = { weights: 1e9, cache: 8e9, budget: 8e9, logits: 2e6, work: 64e6, total: 9_066e6, free: 5e9 };
const plan = { slots: 8, rows: 56, context: 4096, ...sizes };
const tooLarge: Reason<'does_not_fit'> = { code: 'does_not_fit', device: 'cuda-0', plan };

/** One reason of each code; the compiler completes the table. */
const ALL: { readonly [C in ReasonCode]: Reason<C> } = {
  no_driver: { code: 'no_driver' },
  driver_fault: { code: 'driver_fault', fault: 803 },
  no_gpu_for_process: { code: 'no_gpu_for_process' },
  no_cuda_device: { code: 'no_cuda_device' },
  index_out_of_range: { code: 'index_out_of_range', highest: 'cuda-1' },
  provider_missing: { code: 'provider_missing' },
  provider_not_built: { code: 'provider_not_built' },
  library_missing: { code: 'library_missing', library: 'libcudnn.so.9' },
  driver_too_old: { code: 'driver_too_old' },
  no_vulkan_loader: { code: 'no_vulkan_loader' },
  no_vulkan_device: { code: 'no_vulkan_device' },
  no_adapter: { code: 'no_adapter' },
  software_renderer: { code: 'software_renderer', name: 'SwiftShader' },
  wrong_platform: { code: 'wrong_platform', needs: 'macOS' },
  no_half_floats: { code: 'no_half_floats' },
  out_of_memory: { code: 'out_of_memory' },
  does_not_fit: tooLarge,
  cache_too_small: { code: 'cache_too_small', cacheMemory: 2 ** 20, tokens: 22, least: 256, leastMemory: 12 * 2 ** 20 },
  computes_wrong: { code: 'computes_wrong', difference: 0.314 },
  no_logits: { code: 'no_logits' },
  weights_changed: { code: 'weights_changed', file: '/models/model.gguf' },
  cannot_convert: {
    code: 'cannot_convert',
    message: 'download model.gguf again: row 0 of the matrix layers.0.attention.q has a scale that is no finite number',
  },
  disk_full: { code: 'disk_full', folder: '/var/weights', needed: 3e9, free: 2e9 },
  not_written: { code: 'not_written', folder: '/var/weights', message: 'EROFS: read-only file system' },
  operator_ignores: { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'softcap', value: 50 },
  no_experts: { code: 'no_experts' },
  runtime: { code: 'runtime', message: 'bad_alloc' },
};

describe('a reason', () => {
  test('keeps every detail', () => {
    expect(describeReason(ALL.driver_fault)).toContain('CUDA error 803');
    expect(describeReason(ALL.index_out_of_range)).toContain('cuda-1');
    expect(describeReason(ALL.software_renderer)).toContain('SwiftShader');
    expect(describeReason(ALL.wrong_platform)).toContain('macOS');
    expect(describeReason(ALL.computes_wrong)).toContain('31 %');
    expect(describeReason({ code: 'computes_wrong' })).toContain('no logits');
    expect(describeReason({ code: 'computes_wrong', comparedWith: 'cpu', difference: 0.5 })).toMatch(
      /the CPU differ by 50 %/,
    );
    expect(describeReason(ALL.operator_ignores)).toContain('GroupQueryAttention of this device ignores softcap=50');
    const input = { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'position_ids' } as const;
    expect(describeReason(input)).toContain('GroupQueryAttention of this device ignores position_ids of the model');
    expect(describeReason(ALL.runtime)).toBe('bad_alloc');
  });

  test('names the fix', () => {
    expect(describeReason(ALL.provider_missing)).toContain('npm run install:cuda');
    expect(describeReason(ALL.no_half_floats)).toContain('--dtype q4');
    expect(describeReason(ALL.library_missing)).toBe(
      'run rbees-workerd doctor for the package: libcudnn.so.9 not found',
    );
    expect(describeReason({ code: 'library_missing', library: 'libfoo.so.1' })).toBe(
      'install the library: libfoo.so.1 not found',
    );
  });

  test('fits a field of a narrated line, and has no full stop at its end', () => {
    for (const text of Object.values(ALL).map((reason) => describeReason(reason))) {
      expect(text).toMatch(/[^.]$/);
      expect(text.length).toBeLessThanOrEqual(256);
    }
  });

  test('implies hardware unless the driver or the device is missing', () => {
    const absent = Object.values(ALL).filter((reason) => hardwareOf(reason) === 'absent');
    expect(absent.map(({ code }) => code)).toEqual([
      'no_driver',
      'no_gpu_for_process',
      'index_out_of_range',
      'no_vulkan_loader',
      'no_vulkan_device',
      'software_renderer',
      'wrong_platform',
    ]);
  });
});

describe('a model that does not fit', () => {
  test('is refused with the sum and fewer slots', () => {
    expect(describeReason({ ...tooLarge, suggestion: { slots: 3 } })).toBe(
      'use --slots 3: the model needs 9.07 GB on cuda-0 (weights 1.00 GB, cache 8.00 GB (8 slots of 4096 tokens), logits 2.00 MB, work 64.0 MB), and 5.00 GB are free',
    );
  });

  test('is refused with one slot of a shorter context', () => {
    const text = describeReason({ ...tooLarge, suggestion: { slots: 1, context: 2048 } });
    expect(text).toMatch(/^use --slots 1 --context 2048: the model needs /);
  });

  test('is refused with less memory for the cache', () => {
    const smaller = { ...tooLarge, suggestion: { cacheMemory: 3_900 * 2 ** 20 } };
    expect(describeReason(smaller)).toMatch(/^use --cache-memory 3900: the model needs 9\.07 GB on cuda-0 /);
    const both = { ...tooLarge, suggestion: { slots: 1, cacheMemory: 2 ** 20 } };
    expect(describeReason(both)).toMatch(/^use --cache-memory 1 --slots 1: the model needs /);
  });

  test('is refused with another fix if no number of slots and no memory of the cache would fit', () => {
    expect(describeReason(tooLarge)).toMatch(
      /^use smaller weights \(--dtype\) or another device: no --slots and no --cache-memory would fit/,
    );
  });
});

test('memory of the cache that holds no useful row is refused with the least memory', () => {
  expect(describeReason(ALL.cache_too_small)).toBe(
    'use --cache-memory 12 or more: the KV cache of 1.05 MB holds 22 tokens in one row, and a row needs 256',
  );
});

describe('a refusal', () => {
  const reason = { code: 'runtime', message: 'protobuf parsing failed' } as const;

  test('names the device that cannot be used', () => {
    expect(describeRefusal({ device: 'cuda-99', reason: ALL.no_driver })).toBe(
      'cuda-99 cannot be used: no NVIDIA driver',
    );
  });

  test('names no device for a fault of the model or on the CPU', () => {
    expect(describeRefusal({ reason })).toBe('protobuf parsing failed');
    expect(describeRefusal({ device: 'cpu', reason })).toBe('protobuf parsing failed');
  });

  test('names the device once if the model does not fit', () => {
    expect(describeRefusal({ device: 'cuda-0', reason: tooLarge })).toMatch(/^use smaller .* 9\.07 GB on cuda-0 /);
  });

  test('of the engine is the text of its error; other errors keep their message', () => {
    expect(failureText(new EngineRefusedError({ reason }))).toBe('protobuf parsing failed');
    expect(failureText(new Error('config.json is missing'))).toBe('config.json is missing');
    expect(failureText('no error')).toBe('no error');
  });
});

describe('a lack of memory', () => {
  const killed = {
    signal: 'SIGKILL',
    stderrTail: '',
    reason: 'out_of_memory (signal SIGKILL)',
    isOutOfMemory: true,
  } as const;
  const lost = { signal: 'SIGKILL', stderrTail: '', reason: 'signal SIGKILL' };
  const errorOf = (loss: Loss): EngineLostError => new EngineLostError(loss.reason, loss);

  test('of an engine that the kernel killed begins with the fix', () => {
    expect(failureText(errorOf(killed))).toBe(
      'raise the memory limit, or use less --cache-memory, fewer --slots or smaller weights (--dtype): the kernel killed the engine for lack of memory: out_of_memory (signal SIGKILL)',
    );
    expect(lossText({ ...killed, signal: 'SIGABRT' })).toContain(': the engine got no memory: ');
    expect(failureText(errorOf(lost))).toMatch(/^the engine process ended before it opened the model: signal SIGKILL$/);
    expect(failureText(new EngineLostError('the worker stops'))).toBe('the worker stops');
  });

  test('has its own name for a pool-manager', () => {
    expect([lossKind(killed), lossKind(lost)]).toEqual(['out_of_memory', 'engine_lost']);
    const kinds = [
      errorOf(killed),
      errorOf(lost),
      new EngineRefusedError({ device: 'cpu', reason: ALL.out_of_memory }),
      new EngineRefusedError({ reason: tooLarge }),
      new Error('config.json is missing'),
    ].map(loadFailureKind);
    const failed = 'model_load_failed';
    expect(kinds).toEqual(['out_of_memory', failed, 'out_of_memory', failed, failed]);
  });
});

test('a model that does not fit beside other workers names them', () => {
  const shared: Reason<'does_not_fit'> = { ...tooLarge, plan: { ...plan, reserved: 6e9, otherWorkers: 2 } };
  expect(describeReason(shared)).toMatch(/and 5\.00 GB are free \(2 other workers reserved 6\.00 GB\)$/);
});
