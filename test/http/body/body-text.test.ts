/** The offset of the first byte that is not UTF-8, compared with a decoder that reads byte by byte. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textOf } from '../../../src/http/body/body-text.ts';

/** The first prefix that no further byte can make valid ends with a wrong byte; its character began earlier. */
function plainOffset(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let valid = 0;
  let text = '';
  try {
    for (let end = 1; end <= bytes.length; end += 1) {
      text += decoder.decode(bytes.subarray(end - 1, end), { stream: true });
      valid = Buffer.byteLength(text);
    }
    decoder.decode();
  } catch {
    return valid;
  }
  return -1;
}

function offsetOf(bytes: Uint8Array): number {
  try {
    textOf(Buffer.from(bytes));
    return -1;
  } catch (error) {
    return Number(/byte (\d+) /.exec((error as Error).message)?.[1]);
  }
}

const texts = fc
  .array(fc.constantFrom('a', 'é', '海', '🐝', '\ufffd', '\ufeff'), { maxLength: 12 })
  .map((all) => Buffer.from(all.join('')));
const noise = fc.uint8Array({ maxLength: 3 });

test('random bytes', () => {
  fc.assert(
    fc.property(texts, noise, texts, (before, wrong, after) => {
      const bytes = Buffer.concat([before, wrong, after]);
      expect(offsetOf(bytes)).toBe(plainOffset(bytes));
    }),
    { numRuns: 2000 },
  );
});

test.each(['a', 'é', '海', '🐝', '\ufffd'])('around the ends of blocks: %s', (unit) => {
  for (let shift = 0; shift < 4; shift += 1) {
    const before = Buffer.from('a'.repeat(shift) + unit.repeat(4096));
    for (const cut of [4093, 4094, 4095, 4096, 4097]) {
      const bytes = before.subarray(0, cut);
      expect(offsetOf(bytes)).toBe(plainOffset(bytes));
    }
    for (const wrong of [[0xff], [0x80], [0xf0, 0x9f], [0x80, 0x80, 0x80, 0x80, 0x80]]) {
      const bytes = Buffer.concat([before, Buffer.from(wrong), before]);
      expect(offsetOf(bytes)).toBe(before.length);
    }
  }
});
