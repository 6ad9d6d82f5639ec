/**
 * The data that the page keeps in the browser. The conversation, the draft and the token belong to one tab
 * (sessionStorage), so no tab sees those of another one. All tabs share only the taste (localStorage).
 */
import type { ConversationData } from './conversation.ts';
import type { Parameters } from './parameters.ts';

/** The state of a tab. */
export interface TabState {
  readonly conversation: ConversationData;
  readonly parameters: Parameters;
  readonly draft: string;
}

export type Theme = 'auto' | 'light' | 'dark';

export interface Taste {
  readonly theme: Theme;
  readonly cute: boolean;
  /** True: single keys are shortcuts. */
  readonly keys: boolean;
}

const TAB = 'rbees.tab';
const TOKEN = 'rbees.token';
const TASTE = 'rbees.taste';
const DEFAULT_TASTE: Taste = { theme: 'auto', cute: true, keys: true };

export const readTab = (): Partial<TabState> => parse(read(sessionStorage, TAB)) ?? {};

/** @returns false if the browser has no room for it */
export const writeTab = (state: TabState): boolean => write(sessionStorage, TAB, JSON.stringify(state));

export const readToken = (): string | undefined => read(sessionStorage, TOKEN) ?? undefined;
export const writeToken = (token: string): boolean => write(sessionStorage, TOKEN, token);

export const readTaste = (): Taste => ({ ...DEFAULT_TASTE, ...parse<Partial<Taste>>(read(localStorage, TASTE)) });
export const writeTaste = (taste: Taste): boolean => write(localStorage, TASTE, JSON.stringify(taste));

function parse<T>(text: string | null): T | undefined {
  try {
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

function read(storage: Storage, key: string): string | null {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

function write(storage: Storage, key: string, value: string): boolean {
  try {
    storage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
