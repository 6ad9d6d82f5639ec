import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'vitest';
import { ChatTemplate } from '../../src/text/template/chat-template.ts';
import { describeProfile } from '../../src/text/tools/output-profile.ts';
import { profileOf } from '../../src/text/tools/profile.ts';
const folder = new URL('./fixtures/tool-templates/', import.meta.url);
it('x', () => {
  for (const file of readdirSync(folder)) {
    const t = new ChatTemplate({ name: 'default', file, text: readFileSync(new URL(file, folder), 'utf8'), tokens: { bos_token: '<s>', eos_token: '</s>' } });
    const s = performance.now();
    const p = profileOf(t);
    console.log(file, (performance.now() - s).toFixed(1), JSON.stringify(describeProfile(p)), JSON.stringify(p));
  }
});
