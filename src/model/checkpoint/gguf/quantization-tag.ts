/**
 * Quantization tags in the names of GGUF files, such as `Q4_K_M` in `model-Q4_K_M.gguf`. Pure. The kinds of
 * files are those of llama.cpp (`llama_ftype`); `UD-` is the prefix of the dynamic kinds of Unsloth.
 */

const KIND = '(?:UD-)?(?:I?Q\\d[A-Z0-9]*(?:_[A-Z0-9]+)*|TQ\\d_\\d|BF16|FP?16|FP?32|MXFP4(?:_[A-Z0-9]+)*)';
const IS_TAG = new RegExp(`^${KIND}$`, 'i');
/** A kind of file that begins at the start or after a separator, and ends before one or at the end. */
const IN_NAME = new RegExp(`(?<![A-Z0-9])${KIND}(?=[-.]|$)`, 'gi');

/** The tag as it is written: kinds of files in upper case, other tags unchanged. */
export const normalTag = (tag: string): string => (IS_TAG.test(tag) ? tag.toUpperCase() : tag);

/** The kind of a file, by its name without `.gguf`, in upper case; undefined if the name states none. */
export function tagIn(stem: string): string | undefined {
  return stem.match(IN_NAME)?.at(-1)?.toUpperCase();
}

/**
 * True if a name without `.gguf` has the tag as a whole part. Upper and lower case are equal. Parts are
 * between dots and hyphens; a kind of file may also follow `_`. `Q4_K` is no part of `x-Q4_K_M`.
 */
export function hasTag(stem: string, tag: string): boolean {
  const [name, part] = [stem.toUpperCase(), tag.toUpperCase().replace(/\.GGUF$/, '')];
  const before = IS_TAG.test(part) ? /[-._]/ : /[-.]/;
  for (let at = name.indexOf(part); at >= 0; at = name.indexOf(part, at + 1)) {
    const [left, right] = [name[at - 1], name[at + part.length]];
    if ((left === undefined || before.test(left)) && (right === undefined || /[-.]/.test(right))) return true;
  }
  return false;
}

/** True for a tag of plain floats. */
export const isFloatTag = (tag: string): boolean => /^(?:BF16|FP?16|FP?32)$/i.test(tag);
