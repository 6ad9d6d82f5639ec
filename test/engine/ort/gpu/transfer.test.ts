/**
 * A library that is too old for copies, and the calls to the CUDA driver. The driver is a library in C with
 * the prototypes of cuda.h, whose device memory is memory of the host: no GPU takes part.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functionsOf, openLibrary, type Pointer, viewMemory } from '../../../../src/engine/ffi.ts';
import { loadOrt } from '../../../../src/engine/ort/api.ts';
import { openTransfer, type Transfer, transferByDriver } from '../../../../src/engine/ort/gpu/transfer.ts';
import { Tensors } from '../../../../src/engine/ort/tensors.ts';
import { libraryPath } from '../../../../src/model/runtime-library.ts';
import { INT64 } from '../../../../src/onnx/types.ts';
import { compileLibrary, hasCompiler } from '../../../support/compiled-library.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'transfer-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const OLD_RUNTIME = `
#include <stdint.h>
static void *table[421];
static const void *get_api(uint32_t version) { return version <= 18 ? table : 0; }
static const char *get_version(void) { return "1.18.0"; }
static const struct { const void *(*api)(uint32_t); const char *(*version)(void); } base = { get_api, get_version };
const void *OrtGetApiBase(void) {
  for (int index = 0; index < 421; index++) table[index] = (void *)get_version;
  return &base;
}
`;

const DRIVER = `
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define CALL(name) do { strcat(log, name " "); if (strcmp(failing, name) == 0) return 700; } while (0)
typedef int CUresult; typedef int CUdevice; typedef void *CUcontext; typedef void *CUstream;
typedef unsigned long long CUdeviceptr;
static char log[65536];
static char failing[64];
static char primary[2];
static CUcontext current;
static int retained;
const char *played_log(void) { return log; }
int played_retained(void) { return retained; }
void played_reset(const char *name) { log[0] = 0; strcpy(failing, name); current = 0; }
void played_leave(void) { current = &primary[1]; }
CUresult cuInit(unsigned int flags) { CALL("cuInit"); return flags == 0 ? 0 : 1; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  CALL("cuDeviceGet");
  if (ordinal > 1) return 101;
  *device = ordinal + 10;
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  CALL("cuDevicePrimaryCtxRetain");
  if (device < 10) return 101;
  retained++;
  *context = &primary[0];
  return 0;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  CALL("cuDevicePrimaryCtxRelease_v2");
  retained--;
  return device < 10 ? 101 : 0;
}
CUresult cuCtxGetCurrent(CUcontext *context) { CALL("cuCtxGetCurrent"); *context = current; return 0; }
CUresult cuCtxSetCurrent(CUcontext context) { CALL("cuCtxSetCurrent"); current = context; return 0; }
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  CALL("cuMemcpyHtoD_v2");
  if (current != &primary[0]) return 201;
  memmove((void *)(uintptr_t)to, from, bytes);
  return 0;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  CALL("cuMemcpyDtoH_v2");
  if (current != &primary[0]) return 201;
  memmove(to, (void *)(uintptr_t)from, bytes);
  return 0;
}
CUresult cuStreamSynchronize(CUstream stream) { CALL("cuStreamSynchronize"); return stream == 0 ? 0 : 400; }
`;

describe.runIf(hasCompiler)('a library of version 18 of the C API', () => {
  it('offers neither copies nor the release of recorded runs, and a call says so', () => {
    const api = loadOrt(compileLibrary(folder, 'old', OLD_RUNTIME));
    expect([api.offers('copyTensors'), api.offers('releaseCapturedGraph')]).toEqual([false, false]);
    expect(openTransfer({ api, env: 0n, device: 'webgpu' })).toBeUndefined();
    const none = new BigUint64Array(1);
    expect(() => api.copyTensors(0n, none, none, 0n, 1)).toThrow(
      'ONNX Runtime 1.18.0 does not offer version 23 of its C API',
    );
    expect(() => api.releaseCapturedGraph(0n, 1)).toThrow('does not offer version 27');
  });
});

describe.runIf(hasCompiler)('a transfer by the CUDA driver', () => {
  const api = loadOrt(libraryPath());
  const tensors = new Tensors(api);
  let driver: string;
  let played: { log: () => string[]; reset: (failing: string) => void; leave: () => void; retained: () => number };
  beforeAll(() => {
    driver = compileLibrary(folder, 'driver', DRIVER);
    const library = openLibrary(driver);
    const [log, reset] = [library.func('played_log', 'str', []), library.func('played_reset', 'void', ['str'])];
    const retained = library.func('played_retained', 'int', []);
    const leave = library.func('played_leave', 'void', []);
    played = { log: () => (log() as string).trim().split(' '), reset, leave, retained };
  });
  afterAll(() => tensors.release());

  function pairOf(elements: number, more = 0) {
    const allocator = api.getAllocatorWithDefaultOptions();
    const host = tensors.allocate(allocator, INT64, [elements]);
    const device = tensors.allocate(allocator, INT64, [elements + more]);
    const view = ({ pointer, bytes }: { pointer: Pointer; bytes: number }) =>
      new BigInt64Array(viewMemory(pointer, bytes));
    return { host, device, onHost: view(host), onDevice: view(device) };
  }
  const open = (index = 0): Transfer =>
    transferByDriver(index, driver) ?? expect.unreachable('The driver is complete.');

  it('copies each tensor, and waits for the copies to the device once', () => {
    const pairs = [pairOf(1), pairOf(1000), pairOf(131_072)];
    for (const [at, { onHost }] of pairs.entries()) onHost.fill(BigInt(at) - 2n ** 60n);
    played.reset('');
    const transfer = open();
    transfer.toDevice(pairs);
    expect(played.log()).toEqual([
      ...['cuInit', 'cuDeviceGet', 'cuDevicePrimaryCtxRetain', 'cuCtxGetCurrent', 'cuCtxSetCurrent'],
      ...['cuMemcpyHtoD_v2', 'cuMemcpyHtoD_v2', 'cuMemcpyHtoD_v2', 'cuStreamSynchronize'],
    ]);
    for (const { onHost, onDevice } of pairs) {
      expect(onDevice.every((value, index) => value === onHost[index])).toBe(true);
      onHost.fill(0n);
    }
    transfer.toHost(pairs);
    for (const [at, { onHost }] of pairs.entries())
      expect(onHost.every((value) => value === BigInt(at) - 2n ** 60n)).toBe(true);
    transfer.close();
    expect(played.retained()).toBe(0);
  });

  it('enters the context of the GPU only if another one is current', () => {
    const pairs = [pairOf(4)];
    played.reset('');
    const transfer = open(1);
    const entered = (): number => played.log().filter((name) => name === 'cuCtxSetCurrent').length;
    transfer.toDevice(pairs);
    transfer.toHost(pairs);
    expect(entered()).toBe(1);
    played.leave();
    transfer.toHost(pairs);
    expect(entered()).toBe(2);
    transfer.close();
  });

  it('refuses tensors of different sizes before it copies any', () => {
    const pairs = [pairOf(4), pairOf(2, 1)];
    played.reset('');
    const transfer = open();
    expect(() => transfer.toDevice(pairs)).toThrow(new RangeError('The tensors of a copy have 16 bytes and 24 bytes'));
    expect(() => transfer.toHost(pairs)).toThrow(RangeError);
    expect(played.log()).not.toContain('cuMemcpyHtoD_v2');
    transfer.close();
  });

  it.each(['cuCtxSetCurrent', 'cuMemcpyHtoD_v2', 'cuStreamSynchronize', 'cuMemcpyDtoH_v2'])(
    'fails with the code of the driver in %s',
    (name) => {
      const pairs = [pairOf(4)];
      played.reset(name);
      const transfer = open();
      const copy = (): void => {
        transfer.toDevice(pairs);
        transfer.toHost(pairs);
      };
      expect(copy).toThrow(`The NVIDIA driver refused ${name} (CUDA error 700)`);
      transfer.close();
    },
  );

  it('does not exist without a driver, without one of its functions, or for a GPU that is missing', () => {
    expect(transferByDriver(0, 'libno-such-driver.so.1')).toBeUndefined();
    expect(functionsOf(driver, { cuNoSuchFunction: ['int'] })).toBeUndefined();
    expect(transferByDriver(0, compileLibrary(folder, 'short', 'int cuInit(unsigned flags) { return flags; }'))).toBe(
      undefined,
    );
    played.reset('');
    expect(() => transferByDriver(2, driver)).toThrow('The NVIDIA driver refused cuDeviceGet (CUDA error 101)');
    expect(played.retained()).toBe(0);
  });
});
