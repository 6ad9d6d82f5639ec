/**
 * Address space that becomes memory page by page, as it is written (`mmap(2)`, `madvise(2)`). On Linux and
 * macOS. Windows counts memory when it is reserved, so that it has no such address space.
 */
import { cFunction, type Pointer } from '../ffi.ts';

const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 2;
/**
 * The values of each system. `flags`: anonymous, and without a reservation of swap. `drop`: gives pages back.
 * Linux takes them at once (MADV_DONTNEED); macOS takes them when it needs memory (MADV_FREE), because its
 * MADV_DONTNEED keeps them.
 */
const SYSTEMS: Readonly<Record<string, { readonly flags: number; readonly drop: number }>> = {
  linux: { flags: MAP_PRIVATE + 0x20 + 0x4000, drop: 4 },
  darwin: { flags: MAP_PRIVATE + 0x1000 + 0x40, drop: 5 },
};
/** Linux: a page of 2 MB would be memory of 2 MB at the first byte that is written. */
const MADV_NOHUGEPAGE = 15;
const MAP_FAILED = 2n ** 64n - 1n;

/** True if this system has such address space. */
export const canMap: boolean = SYSTEMS[process.platform] !== undefined;

/** The system has no address space of this size. The message is one that means a lack of memory. */
export class MappingError extends Error {
  override readonly name = 'MappingError';
}

/** Bytes of a page of memory: 4096, or 16384 or 65536 on some systems with arm64. A power of two. */
export const pageBytes = (): number => Number(cFunction('getpagesize', 'int', [])());

/** One mapping. Its content is zero at first, and undefined where pages were dropped. */
export class MappedMemory {
  readonly pointer: Pointer;
  readonly bytes: number;

  /**
   * @throws MappingError if the address space is limited (`ulimit -v`), or if the system counts it as memory
   * (`vm.overcommit_memory=2`) and has less.
   */
  constructor(bytes: number) {
    const { flags } = systemOf();
    const mmap = cFunction('mmap', 'uintptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
    const found = BigInt(mmap(0, bytes, PROT_READ_WRITE, flags, -1, 0));
    if (found === MAP_FAILED) throw new MappingError(`mmap: cannot allocate ${bytes} bytes of address space`);
    this.pointer = found;
    this.bytes = bytes;
    if (process.platform === 'linux') advise(found, bytes, MADV_NOHUGEPAGE);
  }

  /** Gives back the memory of whole pages. @param from offset in bytes, of the first page */
  drop(from: number, bytes: number): void {
    advise(this.pointer + BigInt(from), bytes, systemOf().drop);
  }

  /** Ends the mapping. Its memory must not be used any more. */
  release(): void {
    cFunction('munmap', 'int', ['uintptr_t', 'size_t'])(this.pointer, this.bytes);
  }
}

/** The result is ignored: advice that the system does not follow leaves the content as it was. */
function advise(pointer: Pointer, bytes: number, advice: number): void {
  cFunction('madvise', 'int', ['uintptr_t', 'size_t', 'int'])(pointer, bytes, advice);
}

function systemOf(): { readonly flags: number; readonly drop: number } {
  const system = SYSTEMS[process.platform];
  if (!system) throw new MappingError(`${process.platform} has no address space without memory`);
  return system;
}
