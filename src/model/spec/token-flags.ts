/** The flags of an added token: how a text is searched for it, and whether outputs show it. Pure. */

/** The names of the flags, as in tokenizer.json. */
export const FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;
type Flag = (typeof FLAGS)[number];

/** A token as one file states it. A flag that is no boolean is not stated. */
export type StatedToken = { readonly [name in Flag]?: unknown } & { readonly content: string };

/** An added token with all flags: the fields of an entry of `added_tokens` in tokenizer.json. */
export type MergedToken = { readonly [name in Flag]: boolean } & { readonly id: number; readonly content: string };

/**
 * A token with all flags.
 * @param otherwise has the flags that the token lacks; without it, they are those of the native library
 */
export function withFlags(token: StatedToken, id: number, otherwise?: MergedToken): MergedToken {
  const flag = (name: Flag, last: boolean): boolean => {
    const value = token[name];
    return typeof value === 'boolean' ? value : (otherwise?.[name] ?? last);
  };
  const special = flag('special', false);
  return {
    id,
    content: token.content,
    single_word: flag('single_word', false),
    lstrip: flag('lstrip', false),
    rstrip: flag('rstrip', false),
    normalized: flag('normalized', !special),
    special,
  };
}
