/**
 * Runs the benches and writes docs/benchmarks.md: goals, machine, versions, medians and spread. Never part of
 * a test.
 *
 *   npm run bench [-- name…]      with names, only those benches run and nothing is written
 *
 * BENCH_ROUNDS=n takes at most n rounds of each bench, for a quick look. Nothing is written then.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { againstPeers } from './against-peers.mjs';
import { besidePrefill } from './beside-prefill.mjs';
import { cacheMemory } from './cache-memory.mjs';
import { cancelLatency } from './cancel-latency.mjs';
import { checkpoint } from './checkpoint.mjs';
import { coldStart } from './cold-start.mjs';
import { convert } from './convert.mjs';
import { dialects } from './dialects.mjs';
import { engineAlone } from './engine-alone.mjs';
import { engineLoss } from './engine-loss.mjs';
import { firstToken } from './first-token.mjs';
import { fleetBase } from './fleet-base.mjs';
import { gguf } from './gguf.mjs';
import { grammarCost } from './grammar.mjs';
import { grammarStreams } from './grammar-streams.mjs';
import { healthUnderLoad } from './health-under-load.mjs';
import { layersCost } from './layers-cost.mjs';
import { logVolume } from './log-volume.mjs';
import { manyWorkers } from './many-workers.mjs';
import { table, wrapped } from './measure.mjs';
import { memory10k } from './memory-10k.mjs';
import { memoryBandwidth } from './memory-bandwidth.mjs';
import { narrateCall } from './narrate-call.mjs';
import { narrationCost } from './narration-cost.mjs';
import { overHttp } from './over-http.mjs';
import { parserCost } from './parser-cost.mjs';
import { prefixLookup } from './prefix-lookup.mjs';
import { peerVersions, stopAll } from './processes.mjs';
import { rollingRestart } from './rolling-restart.mjs';
import { sampler } from './sampler.mjs';
import { scrape } from './scrape.mjs';
import { secondTurn } from './second-turn.mjs';
import { sharedPrefix } from './shared-prefix.mjs';
import { sharedWeights } from './shared-weights.mjs';
import { stalledReaders } from './stalled-readers.mjs';
import { subscribers } from './subscribers.mjs';
import { traces } from './traces.mjs';

/** In the order of the page. */
const BENCHES = {
  againstPeers,
  gguf,
  convert,
  checkpoint,
  overHttp,
  dialects,
  narrationCost,
  secondTurn,
  besidePrefill,
  cancelLatency,
  engineAlone,
  engineLoss,
  cacheMemory,
  sharedPrefix,
  prefixLookup,
  memoryBandwidth,
  sampler,
  layersCost,
  parserCost,
  grammarCost,
  grammarStreams,
  narrateCall,
  coldStart,
  manyWorkers,
  sharedWeights,
  firstToken,
  healthUnderLoad,
  memory10k,
  stalledReaders,
  subscribers,
  rollingRestart,
  scrape,
  traces,
  logVolume,
  fleet,
  fleetBase,
};
/** Benches of docs/scale.md and docs/traces.md: they run only if they are named. */
const OF_OTHER_PAGES = ['fleet', 'fleetBase', 'traces'];
const PAGE = new URL('../docs/benchmarks.md', import.meta.url);
const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

const only = process.argv.slice(2);
const unknown = only.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  process.stderr.write(`Unknown bench: ${unknown.join(', ')}. The benches are ${Object.keys(BENCHES).join(', ')}.\n`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopAll().then(() => process.exit(1)));

const sections = [];
try {
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (only.length > 0 ? !only.includes(name) : OF_OTHER_PAGES.includes(name)) continue;
    const began = performance.now();
    process.stderr.write(`${name}…`);
    const section = await bench();
    process.stderr.write(` ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
    process.stdout.write(`${section.markdown}\n`);
    sections.push(section);
  }
} finally {
  await stopAll();
}
process.stdout.write(goals());
if (only.length === 0 && process.env.BENCH_ROUNDS === undefined) writeFileSync(PAGE, page());
// A kept-alive connection or a thread of the runtime would keep the process running.
process.exit(0);

/** The simulation of a fleet: TypeScript, which scripts/run.mjs bundles. */
function fleet() {
  const script = fileURLToPath(new URL('../scripts/run.mjs', import.meta.url));
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
  return { markdown: execFileSync(process.execPath, [script, 'bench/fleet.ts'], options), goals: [] };
}

function goals() {
  const rows = sections.flatMap((section) => section.goals);
  const cells = rows.map(({ what, wanted, figure, reached }) => [what, wanted, figure, reached ? 'yes' : '**no**']);
  return rows.length === 0 ? '' : `${table(['what', 'goal', 'median (lowest … highest)', 'reached'], cells)}\n`;
}

function page() {
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const intro = `# Benchmarks

## Goals

Ratios within one run, and times of cancels, computed by the benches below.

${goals()}
## How this was measured

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine}, Node ${process.versions.node}, onnxruntime-node ${versionOf('onnxruntime-node')}.
Peers: ${peerVersions().join(', ')}.

A figure is a median, with the lowest and the highest round in brackets. The machine is shared, so single figures are
noisy: each bench repeats, the sides of a comparison take turns, and a figure is compared only with others of the same
run.

To repeat it: \`npm run bench\` in a checkout, with Debian's \`python3-numpy\` and \`python3-onnx\` installed. The first run makes models with random
weights of the shape of SmolLM2-135M under \`bench/.models/\` (4.5 GB) and installs the peers under \`bench/peers/node_modules\` (1.2 GB). \`npm run bench -- overHttp\`
runs one bench. \`BENCH_ROUNDS=1\` makes it short. Only a full run writes this page. A section that names no model uses the embedded one (0.9 M parameters, fp32).

- **Time to first token**: at the client, from sending the POST to the first \`token\` event.
- **Inter-token latency**: the gap between two \`token\` events of one stream, at the client.
- **Time per output token**: from the first token to the last, divided by the number of tokens after the first. The
  first token belongs to the prompt and is excluded. Decode tokens/s of one stream is the inverse.
- **Tokens/s in total**: tokens of all streams, divided by the time from the first POST to the last token, with prompts
  and waiting.

Random weights repeat one token, so every draft would be right: the benches run with \`--speculation off\`.
`;
  return [wrapped(intro), ...sections.map(({ markdown }) => markdown)].join('\n');
}
