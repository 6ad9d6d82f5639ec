/** The field that keeps the cached prefixes of tenants apart. Rule: `cache_salt` of vLLM. */
import { text } from '../schema.ts';

/** Maximum length of a salt in UTF-16 units. */
export const MAX_SALT_UNITS = 256;

export const cacheSaltFields = () => ({
  cache_salt: text()
    .min(1)
    .max(MAX_SALT_UNITS)
    .optional()
    .meta({
      description:
        `A text of 1 to ${MAX_SALT_UNITS} characters. Only requests with the same text share cached prefixes, so that the time of an ` +
        'answer tells nothing about the prompts of others. When absent: the request shares prefixes with all others without it',
    }),
});
