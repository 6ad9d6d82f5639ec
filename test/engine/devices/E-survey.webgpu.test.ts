import { appendFileSync, mkdtempSync } from 'node:fs';
import { afterEach, it } from 'vitest';
import { stopEngines } from './engine-process.ts';
import { expectReferenceIds, MODELS } from './gpu-graph-models.ts';

afterEach(stopEngines);
const root = mkdtempSync('/tmp/E-survey-');
it.each(MODELS)('%s', { timeout: 600000 }, async (name) => {
  const began = performance.now();
  let text: string;
  try {
    text = JSON.stringify(await expectReferenceIds(name, 'captured', root));
  } catch (error) {
    text = String(error).slice(0, 300);
  }
  appendFileSync('/tmp/E-survey.txt', `${name} ${Math.round(performance.now() - began)} ${text}\n`);
});
