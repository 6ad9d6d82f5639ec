/** Reads one file of a ZIP archive (APPNOTE 6.3: central directory, stored or deflated entries, no ZIP64). */
import { inflateRawSync } from 'node:zlib';

const [END, ENTRY] = [0x06054b50, 0x02014b50];
const DEFLATED = 8;

/** @param path path of the file inside the archive. @throws Error if the archive does not have it. */
export function unzip(archive: Buffer, path: string): Buffer {
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || archive.readUInt32LE(end) !== END) throw new Error('The file is no ZIP archive.');
  let at = archive.readUInt32LE(end + 16);
  while (archive.readUInt32LE(at) === ENTRY) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((place) => archive.readUInt16LE(at + place));
    const nameEnd = at + 46 + (nameLength ?? 0);
    if (archive.toString('utf8', at + 46, nameEnd) === path) return contentOf(archive, at);
    at = nameEnd + (extraLength ?? 0) + (commentLength ?? 0);
  }
  throw new Error(`The archive has no file ${path}.`);
}

/** @param entry place of the entry in the central directory */
function contentOf(archive: Buffer, entry: number): Buffer {
  const size = archive.readUInt32LE(entry + 20);
  const local = archive.readUInt32LE(entry + 42);
  const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const bytes = archive.subarray(start, start + size);
  return archive.readUInt16LE(entry + 10) === DEFLATED ? inflateRawSync(bytes) : Buffer.from(bytes);
}
