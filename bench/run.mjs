/**
 * Runs the benches and writes docs/benchmarks.md: machine, versions, medians and spread. Never part of a test.
 *
 *   npm run bench [-- name…]      with names, only those benches run and nothing is written
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { coldStart } from './cold-start.mjs';
import { firstToken } from './first-token.mjs';
import { healthUnderLoad } from './health-under-load.mjs';
import { narrateCall } from './narrate-call.mjs';

const BENCHES = { coldStart, firstToken, healthUnderLoad, narrateCall };
const PAGE = new URL('../docs/benchmarks.md', import.meta.url);
const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

const only = process.argv.slice(2);
const sections = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (only.length > 0 && !only.includes(name)) continue;
  process.stderr.write(`${name}…\n`);
  const section = await bench();
  process.stdout.write(`${section}\n`);
  sections.push(section);
}
if (only.length === 0) writeFileSync(PAGE, page(sections));

function page(parts) {
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine}, Node ${process.versions.node}, onnxruntime-node ${versionOf('onnxruntime-node')}.
The embedded model (0.9 M parameters, fp32) on the CPU. Median, with the lowest and the highest in brackets. The machine is shared:
single figures are noisy, so each bench repeats, and a figure is compared only with others of the same run.

Time to first token is measured by the client, from sending the POST to the first \`token\` event. Inter-token latency is the gap between
two \`token\` events of one stream.

${parts.join('\n')}`;
}
