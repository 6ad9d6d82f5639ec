/** Long runs of one character: work that grows with the square of the text would take minutes for each. */
import { expect } from 'vitest';
import { pipelineOf } from './families.ts';

export const UNITS = ['a', ' ', '\n', '1', '本', '\u0301', '😀', '👩\u200d', '<', "'", 'a ', '▁'];
export const RUN_FAMILIES = ['gpt2', 'llama3', 'o200k', 'falcon', 'llama2', 'tinyllama', 't5', 'unigram'];

/** Encodes this many bytes of each unit. */
export function encodeRuns(family: string, units: readonly string[], bytes: number): void {
  const pipeline = pipelineOf(family);
  for (const unit of units) {
    const ids = pipeline.encode(unit.repeat(bytes / Buffer.byteLength(unit)), false);
    expect(ids.length, `of ${JSON.stringify(unit)}`).toBeGreaterThanOrEqual(unit.trim() === '' ? 0 : 1);
  }
}
