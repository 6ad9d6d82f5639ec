/**
 * The key of saved weights: a hash of everything on which their bytes depend. The order of a prepacked matrix
 * depends on the instructions of the processor and on the build of the runtime.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { type ReadText, readText } from '../../protocol/host/control-groups.ts';
import { type SourceFile, sourceFile, WEIGHTS_LAYOUT } from '../../protocol/host/weights-cache.ts';

export interface KeyParts {
  /** The folder of all keys, with links resolved: the graph contains paths that are relative to it. */
  readonly folder: string;
  /** Version of the runtime. */
  readonly runtime: string;
  /** Path of the runtime's library: two builds can have one version. */
  readonly library: string;
  /** The graph without weights. It changes with the version of the builder. */
  readonly graph: Uint8Array;
  readonly sources: readonly SourceFile[];
  readonly processor: Processor;
}

/** The features of a processor on which the order of a matrix can depend. */
export interface Processor {
  readonly name: string;
  readonly features: string;
}

/** Lines of /proc/cpuinfo that stay the same while the machine runs. */
const FEATURES =
  /^(?:vendor_id|cpu family|model|stepping|flags|CPU implementer|CPU architecture|CPU variant|CPU part|Features)\s*:.*$/gm;

/** The processor of this machine. @param read reads a file of the system; replaced by tests */
export function processorOf(read: ReadText = readText): Processor {
  const [first = ''] = read('/proc/cpuinfo').split('\n\n');
  const name = cpus()[0]?.model.trim() ?? '';
  return { name, features: [process.arch, name, ...(first.match(FEATURES) ?? [])].join('\n') };
}

/** The key: 32 hexadecimal digits. */
export function weightsKey({ folder, runtime, library, graph, sources, processor }: KeyParts): string {
  const facts = [WEIGHTS_LAYOUT, folder, runtime, sourceFile(library), sources, processor.features];
  return createHash('sha256').update(JSON.stringify(facts)).update(graph).digest('hex').slice(0, 32);
}
