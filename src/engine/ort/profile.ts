/**
 * What the runtime can tell of every run of a session: its operators, their shapes, what was copied between host and device. Off unless a
 * session is opened with it: writing it down costs time.
 */
import { type Pointer, readText } from '../ffi.ts';
import type { OrtApi } from './api.ts';

/** Where the profile of a session goes: its path begins like this, and the runtime adds the time. */
export interface Profiled {
  readonly prefix: string;
}

/** Ends the profile and writes it, in Chrome's trace format: one event for every run, and one for every operator in it. @returns its path. */
export function endProfile(api: OrtApi, session: Pointer): string {
  const allocator = api.getAllocatorWithDefaultOptions();
  const path = api.sessionEndProfiling(session, allocator);
  try {
    return readText(path);
  } finally {
    api.allocatorFree(allocator, path);
  }
}
