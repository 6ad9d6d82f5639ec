/** The bytes of the syntax of JSON. */

export const SPACE_BYTE = 0x20;
export const QUOTE_BYTE = 0x22;
export const COMMA = 0x2c;
export const COLON_BYTE = 0x3a;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
