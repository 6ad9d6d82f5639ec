/** Makes the matrices of a candidate readable for a graph: converts matrices that no graph reads. */
import type { ConversionProgress } from '../../protocol/decoder/conversion.ts';
import { type DecoderSpec, type GraphMatrix, isPlain } from '../../protocol/decoder/decoder-spec.ts';
import { placesOf } from '../../protocol/decoder/places.ts';
import { hasSameContent } from '../../protocol/host/weights-cache.ts';
import type { Candidate, EngineFacts } from '../../protocol/loading.ts';
import { LoadError } from '../load/load-error.ts';
import type { FileParts } from '../load/read-ahead.ts';
import type { GraphCandidate } from '../ort/built-model.ts';
import { type ConversionTarget, convertedFile } from './converted-file.ts';
import { planConversion } from './plan/plan-conversion.ts';

/** The facts about converted weights; empty if none were converted. */
export type ConversionFacts = Pick<EngineFacts, 'conversions' | 'floatMatrices'>;

/** A candidate that can be opened. */
export interface ReadableCandidate {
  readonly candidate: GraphCandidate;
  readonly facts: ConversionFacts;
  /** Called when the runtime has mapped the weights, or has failed. */
  readonly release: () => void;
}

const nothing = (): void => undefined;
/** The form of a converted file whose floats stay as they are. */
const UNQUANTIZED = 'blocks';

/** The functions of the engine that a conversion needs. */
export interface ConversionHooks {
  readonly report: (progress: ConversionProgress) => void;
  /**
   * Called before weights are converted, with a candidate whose converted file does not exist.
   * @throws LoadError for a model that cannot be opened anyway
   */
  readonly check: (candidate: GraphCandidate) => void;
}

/**
 * The candidate with matrices that a graph reads. Converts the others into one file, or finds that file.
 * @throws LoadError `weights_changed`, and as `convertedFile`; the error of `check`
 */
export function readableCandidate(
  candidate: Candidate,
  options: ConversionTarget['options'],
  { report, check }: ConversionHooks,
): ReadableCandidate {
  const { decoder, quantize, sources = [], ...files } = candidate;
  if (!decoder) return { candidate: files, facts: {}, release: nothing };
  const changed = sources.find((source) => !hasSameContent(source));
  if (changed) throw new LoadError({ code: 'weights_changed', file: changed.path });
  const { weightFiles } = files;
  const plan = planConversion(decoder, { file: weightFiles.length, ...(quantize && { quantize }) });
  if (!plan) return { candidate: { ...files, decoder: plainDecoder(decoder) }, facts: {}, release: nothing };
  const form = quantize ?? UNQUANTIZED;
  const readable = (path: string): GraphCandidate => {
    const all = [...weightFiles, path];
    return { ...files, weightFiles: all, decoder: plan.decoder, parts: partsOf(plan.decoder, all) };
  };
  const checkFirst = (): void => check(readable(`${files.modelFile}.converted`));
  const converted = convertedFile({ plan, form, weightFiles, options, report, check: checkFirst });
  const { path, weights, isShared, release } = converted;
  return {
    candidate: { ...readable(path), ...(!isShared && { hasOwnFile: true }) },
    facts: { conversions: weights, ...(plan.floats.length > 0 && { floatMatrices: plan.floats }) },
    release,
  };
}

/** A decoder without matrices in blocks. @throws RangeError for a matrix in blocks: a defect of the plan */
function plainDecoder(decoder: DecoderSpec): DecoderSpec<GraphMatrix> {
  if (!isPlain(decoder.embedding)) throw new RangeError('A decoder with blocks has no plan');
  // A plan converts all matrices in blocks, so a decoder without a plan has none.
  return decoder as DecoderSpec<GraphMatrix>;
}

/** The parts of the files that the graph of a decoder reads, in the order of the files. */
function partsOf(decoder: DecoderSpec<GraphMatrix>, files: readonly string[]): FileParts[] {
  const places = placesOf(decoder);
  return files.flatMap((path, file) => {
    const ranges = places.filter((place) => place.file === file);
    ranges.sort((one, other) => one.offset - other.offset);
    return ranges.length === 0 ? [] : [{ path, ranges: ranges.map(({ offset, bytes }) => ({ offset, bytes })) }];
  });
}
