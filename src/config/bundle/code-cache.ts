/**
 * A folder with the compiled code of the scripts that an entry of the build loads, one file for each script.
 * V8 produces the code, and refuses it if its version or its flags differ. V8 does not check the bytes, and
 * damaged bytes crash the process: each file begins with a checksum.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';

/** The checksum and four zero bytes: V8 copies code that does not begin at a multiple of eight. */
const HEAD_BYTES = 8;
/** Only the owner may write: code in a cache is code. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;
/** An unfinished folder of this age belongs to a process that has died. */
const ABANDONED_MS = 60_000;

/**
 * Reads the compiled code of a script. Undefined if the folder has none.
 * @throws Error if the file is damaged
 */
export function readCode(folder: string, script: string): Uint8Array | undefined {
  const bytes = bytesOf(fileOf(folder, script));
  if (bytes === undefined) return undefined;
  const code = bytes.subarray(HEAD_BYTES);
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE() !== crc32(code)) throw new Error(`${script} is damaged`);
  return code;
}

/**
 * Writes the folder, unless another process writes it. Other processes see no folder or the whole folder.
 * @param compile returns the code by script; called only if this process writes the folder
 * @throws Error if another process writes or has written the folder, or if it cannot be written
 */
export function writeCodes(folder: string, compile: () => ReadonlyMap<string, Uint8Array>): void {
  if (existsSync(folder)) throw new Error(`${folder} exists`);
  const unfinished = `${folder}.unfinished`;
  if (ageOf(unfinished) > ABANDONED_MS) rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true, mode: FOLDER_MODE });
  mkdirSync(unfinished, { mode: FOLDER_MODE });
  try {
    for (const [script, code] of compile()) {
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32LE(crc32(code));
      writeFileSync(fileOf(unfinished, script), Buffer.concat([head, code]), { mode: FILE_MODE });
    }
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}

const fileOf = (folder: string, script: string): string => join(folder, `${script}.bin`);

function bytesOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Milliseconds since the last change of a folder; 0 if there is none. */
function ageOf(folder: string): number {
  const stat = statSync(folder, { throwIfNoEntry: false });
  return stat ? Date.now() - stat.mtimeMs : 0;
}
