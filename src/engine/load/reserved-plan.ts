/**
 * Plans the memory of a model with the memory that other workers leave. Workers that start together would
 * otherwise all plan with the same free memory, because a plan does not change what the system reports as
 * free before the memory is used (docs/decisions/0026-memory-of-several-workers.md).
 */
import { readlinkSync, statSync } from 'node:fs';
import { controlGroups, groupId, readText } from '../../protocol/host/control-groups.ts';
import { anonymousBytes } from '../../protocol/host/process-memory.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { type Device, HOST_MEMORY_ID } from '../devices/device.ts';
import type { HeldMemory } from '../host/host-memory.ts';
import { type Reservation, ReservationError, Reservations } from '../host/reservations.ts';
import { LoadError } from './load-error.ts';
import { type Needs, planMemory, type Requested } from './memory-plan.ts';

/**
 * A plan of less than this part of the free memory is not reserved, so that many small workers start without
 * waiting for each other.
 */
export const NEGLIGIBLE_SHARE = 1 / 200;

/** A plan, and the memory that is reserved for it. */
export interface ReservedPlan {
  readonly plan: MemoryPlan;
  /** Why the memory could not be reserved; absent if it is reserved, or if the plan is negligible. */
  readonly problem?: string;
  /** Ends the reservation. */
  readonly release: () => void;
  /** Reserves the cache only, which grows later: the rest is in use and no longer free. Never throws. */
  readonly keepCache: () => void;
  /** Ends the reservation of the memory that only the opening of the model takes. Never throws. */
  readonly endOpening: () => void;
}

/** The inputs of a plan besides the needs of the model. */
export interface PlanTarget {
  readonly requested: Requested;
  readonly device: Pick<Device, 'memoryId'>;
  readonly weightFiles: readonly string[];
  /** Folder of the reservations; undefined = none. */
  readonly folder: string | undefined;
  /** Free bytes without the memory that others hold; undefined if the system does not report them. */
  readonly freeBytes: (held: readonly HeldMemory[]) => number | undefined;
}

const nothing = (): void => undefined;
const UNRESERVED = { release: nothing, keepCache: nothing, endOpening: nothing };

/**
 * Plans and reserves in one step that excludes other processes. If memory cannot be reserved, plans without
 * the reservations of others.
 * @throws LoadError `does_not_fit` if the plan exceeds the memory that others leave.
 */
export function planReserved(needs: Omit<Needs, 'free' | 'others'>, target: PlanTarget): ReservedPlan {
  const { requested, folder, device } = target;
  const free = target.freeBytes([]);
  const alone = planMemory({ ...needs, free }, requested);
  const memory = device.memoryId();
  if (folder === undefined || memory === undefined || free === undefined || alone.total < free * NEGLIGIBLE_SHARE)
    return { plan: alone, ...UNRESERVED };
  try {
    const reservations = new Reservations(folder);
    return reservations.exclusively(() => reserve(reservations, needs, { ...target, memory }));
  } catch (error) {
    if (error instanceof LoadError) throw error;
    if (!(error instanceof ReservationError)) throw error;
    return { plan: alone, problem: messageOf(error), ...UNRESERVED };
  }
}

function reserve(
  reservations: Reservations,
  needs: Omit<Needs, 'free' | 'others'>,
  { requested, weightFiles, memory, freeBytes }: PlanTarget & { readonly memory: string },
): ReservedPlan {
  const weightsId = idOf(weightFiles);
  const namespace = pidNamespace();
  const machine = readText('/proc/sys/kernel/random/boot_id').trim();
  // Read before the free memory: memory that is taken in between counts twice, and not never.
  const outstanding = reservations
    .others()
    .filter((other) => other.machine === machine && other.memory === memory)
    .map((other) => ({ ...other, ...outstandingOf(other, { weightsId, namespace }) }))
    .filter(({ weights, rest }) => weights + rest > 0);
  const held = heldBy(outstanding);
  const free = freeBytes(held);
  const bytes = held.reduce((sum, one) => sum + one.bytes, 0);
  const others = { bytes, workers: outstanding.length };
  const plan = planMemory({ ...needs, free, ...(bytes > 0 && { others }) }, requested);
  const { weights, copied = 0, opening = 0, total } = plan;
  const shared = weights - copied;
  const own: Reservation = {
    machine,
    pid: process.pid,
    namespace,
    memory,
    weightsId,
    weights: shared,
    rest: total - shared,
    before: anonymousBytes(process.pid) ?? 0,
    groups: controlGroups('memory').map(groupId),
  };
  reservations.publish(own);
  const change = (sizes: Pick<Reservation, 'weights' | 'rest'>): void => {
    try {
      reservations.exclusively(() => reservations.publish({ ...own, ...sizes }));
    } catch {
      reservations.release(); // The folder is gone: nobody reads it.
    }
  };
  return {
    plan,
    release: () => reservations.release(),
    keepCache: () => change({ weights: 0, rest: plan.cache }),
    endOpening: () => {
      if (opening > 0) change({ weights: shared, rest: own.rest - opening });
    },
  };
}

/** The resources that the reader of a reservation shares with its owner. */
interface Reader {
  readonly weightsId: string;
  readonly namespace: string;
}

/** Bytes of a reservation that the system still reports as free. */
type Outstanding = Pick<Reservation, 'weights' | 'rest'>;

/**
 * The outstanding part of a reservation. Weights are pages of a file, which the system always reports as
 * free; only processes with other weights need more memory for them. The rest is taken piece by piece, when
 * it is used first.
 * @param anonymous reads the anonymous memory of a process; replaced by tests
 */
export function outstandingOf(
  { pid, namespace, memory, weightsId, weights, rest, before }: Reservation,
  reader: Reader,
  anonymous: (pid: number) => number | undefined = anonymousBytes,
): Outstanding {
  const isShared = memory === HOST_MEMORY_ID && weightsId === reader.weightsId;
  const now = memory === HOST_MEMORY_ID && namespace === reader.namespace ? (anonymous(pid) ?? before) : before;
  const grown = Math.max(0, now - before);
  return {
    rest: Math.max(0, rest - grown),
    // A process that grows by more than the rest has copied weights.
    weights: isShared ? 0 : Math.max(0, weights - Math.max(0, grown - rest)),
  };
}

/**
 * The memory of outstanding reservations. Processes with the same weight files share the pages in host
 * memory: these weights count once, in all control groups of the processes.
 */
export function heldBy(outstanding: readonly (Reservation & Outstanding)[]): HeldMemory[] {
  const shared = new Map<string, HeldMemory>();
  const held: HeldMemory[] = [];
  for (const { memory, weightsId, weights, rest, groups } of outstanding) {
    if (memory !== HOST_MEMORY_ID) {
      held.push({ bytes: weights + rest, groups });
      continue;
    }
    held.push({ bytes: rest, groups });
    const before = shared.get(weightsId);
    const bytes = Math.max(weights, before?.bytes ?? 0);
    shared.set(weightsId, { bytes, groups: [...new Set([...(before?.groups ?? []), ...groups])] });
  }
  return [...held, ...shared.values()].filter(({ bytes }) => bytes > 0);
}

/** Identifies files by their inodes: links and mounts give one file several paths. */
function idOf(files: readonly string[]): string {
  return files
    .map((file) => statSync(file, { throwIfNoEntry: false }))
    .map((found) => `${found?.dev}:${found?.ino}`)
    .join(' ');
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
