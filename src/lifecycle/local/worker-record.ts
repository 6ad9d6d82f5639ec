/**
 * The file by which the commands of this user find a worker of this machine. It has facts about the process
 * and its address, and never a token. Pure.
 */
import type { ProcessLife } from './process-life.ts';

export interface WorkerRecord {
  readonly pid: number;
  /** Absent on other systems than Linux. */
  readonly process?: ProcessLife | undefined;
  /** Address for a process of this machine. */
  readonly url: string;
  readonly worker_id: string;
  readonly instance_id: string;
  /** ISO 8601. */
  readonly started_at: string;
  readonly version: string;
}

/** A file with more bytes is not a record. */
export const MAX_RECORD_BYTES = 4096;
/** Longest text in a record, in characters. */
const MAX_TEXT = 256;
/** Linux has ids up to 2²². */
const MAX_PID = 2 ** 31 - 1;

const SUFFIX = '.json';
/** Ending of a file that is being written. */
export const UNFINISHED = '.tmp';
const NAME = /^\d{1,10}-[0-9a-f-]{36}\.json$/;

/** Name of the file of a worker. The instance id makes it unique: no two workers write the same file. */
export const recordName = ({ pid, instance_id }: Pick<WorkerRecord, 'pid' | 'instance_id'>): string =>
  `${pid}-${instance_id}${SUFFIX}`;

export const isRecordName = (name: string): boolean => NAME.test(name);

/** @throws Error for a text that is not a record */
export function recordIn(text: string): WorkerRecord {
  const { pid, process, url, worker_id, instance_id, started_at, version } = JSON.parse(text) as WorkerRecord;
  if (!Number.isSafeInteger(pid) || pid < 1 || pid > MAX_PID) throw new Error('the process id is wrong');
  const texts = [url, worker_id, instance_id, started_at, version];
  if (process !== undefined) texts.push(process.boot, process.namespace, process.start);
  if (!texts.every((one) => typeof one === 'string' && one.length <= MAX_TEXT)) throw new Error('a text is wrong');
  if (!/^http:\/\/[^/@?#\s]+$/.test(url) || !URL.canParse(url)) throw new Error('the URL is wrong');
  if (Number.isNaN(Date.parse(started_at))) throw new Error('the time is wrong');
  return { pid, process, url, worker_id, instance_id, started_at, version };
}
