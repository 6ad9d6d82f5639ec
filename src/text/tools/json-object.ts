/** Objects of JSON. Pure. */
import type { Json } from '../template/conversation.ts';

/** A value of JSON with keys. */
export type JsonObject = Readonly<Record<string, Json>>;

/** True for a value with keys: not a list, not null. */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object that a text of JSON holds; undefined for any other text. */
export function jsonObjectOf(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
