/** The limit of the address space, and the options of Node.js that it calls for. */
import { expect, test } from 'vitest';
import {
  addressSpaceLimit,
  checkAddressSpace,
  checkProxyClient,
  hasWasmOptions,
  MIN_ADDRESS_SPACE,
  wasmOptions,
} from '../../src/config/host/address-space.ts';

const FLAG = '--disable-wasm-trap-handler';
const limits = (soft: string) => () =>
  `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max address space         ${soft.padEnd(20)} unlimited            bytes
Max file locks            unlimited            unlimited            locks
`;

test.each([
  ['8589934592', 8_589_934_592],
  ['unlimited', undefined],
  ['x', undefined],
])('the limit %s is %s', (text, limit) => {
  expect(addressSpaceLimit(limits(text))).toBe(limit);
});

test('a system without the file has no limit', () => {
  expect(addressSpaceLimit(() => '')).toBeUndefined();
});

test('only a limited process needs the option', () => {
  expect(wasmOptions(undefined)).toEqual([]);
  expect(wasmOptions(2 ** 40)).toEqual([FLAG]);
});

test('the option is found among the arguments of Node.js and in NODE_OPTIONS', () => {
  expect(hasWasmOptions([], {})).toBe(false);
  expect(hasWasmOptions([FLAG], {})).toBe(true);
  expect(hasWasmOptions([], { NODE_OPTIONS: `--no-warnings ${FLAG}` })).toBe(true);
});

test('the least limit is accepted, and a lower one is refused with the way out', () => {
  expect(() => checkAddressSpace(undefined)).not.toThrow();
  expect(() => checkAddressSpace(MIN_ADDRESS_SPACE)).not.toThrow();
  expect(() => checkAddressSpace(MIN_ADDRESS_SPACE - 1024)).toThrow(
    'ulimit -v: the address space is limited to 3145727 KiB; a worker needs at least 3145728 KiB, and the size of its model in addition; raise the limit: ulimit -v unlimited',
  );
});

test('a proxy that the limit leaves no room for is refused with the way out', () => {
  const fails = (): never => {
    throw new RangeError('could not allocate memory');
  };
  expect(() => checkProxyClient('https_proxy', 2 ** 33, fails)).toThrow(
    'https_proxy: set NODE_OPTIONS=--disable-wasm-trap-handler to use this proxy while the address space is limited (ulimit -v 8388608); or raise the limit, or add the host of --callback-url to NO_PROXY',
  );
  expect(() => checkProxyClient('https_proxy', 2 ** 33)).not.toThrow();
  expect(() => checkProxyClient('https_proxy', undefined, fails)).not.toThrow();
});
