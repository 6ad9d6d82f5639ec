/** The cost per token of the bridge to the engine process and of the frames of a stream. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { finished } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { EngineClient } from '../dist/bridge/client.js';
import { engineEnvironment } from '../dist/config/config.js';
import { embeddedModel } from '../dist/model/folder.js';
import { engineOptions, OpenEngine, sequence } from './engine.mjs';
import { interleaved, rounds, section, spread, table, totalRate } from './measure.mjs';
import { logReadInto, nowhere } from './read-log.mjs';

const ROUNDS = 7;
const STREAMS = [1, 8];
const TOKENS = 300;
const FRAMES = 20_000;
const CONTEXT = 512;

export async function layersCost() {
  const options = engineOptions(`${embeddedModel()}/onnx/model.onnx`, Math.max(...STREAMS), CONTEXT);
  const engine = new OpenEngine(options);
  const client = new EngineClient({ environment: engineEnvironment(), stepMs: 60_000 });
  await client.start(options);
  const rows = [];
  for (const streams of STREAMS) rows.push(await bridge(engine, client, streams));
  engine.close();
  await client.close();
  const frames = await interleaved(rounds(ROUNDS), { turns: emptyTurns, memory: framesInMemory });
  const socket = await framesOverSocket(rounds(ROUNDS));
  return section('Cost of the layers', [
    `Bridge: the embedded model, ${TOKENS} tokens a stream, the engine in this process, and behind \`EngineClient\` in a process of its own, take turns. A step takes a fraction of a millisecond, so the cost of a message is visible. Two processes also overlap work that one process does in sequence, so the difference can be below zero.`,
    table(['streams', 'in process, tokens/s', 'behind the bridge, tokens/s', 'ratio', 'difference, µs/token'], rows),
    `Frames: token events of an \`EventLog\`, one per turn of the event loop, as a stream gets them, ${FRAMES} a round; microseconds per token that this thread is busy. The reader of the socket runs on a thread of its own.`,
    table(
      ['', 'µs/token'],
      [
        ['no frame, the turn only', spread(frames.turns)],
        ['written and read in memory', spread(frames.memory)],
        ['written and sent through HTTP', spread(socket)],
      ],
    ),
  ]);
}

async function bridge(engine, client, streams) {
  const requests = () => Array.from({ length: streams }, (_, row) => sequence([row, ...Array(15).fill(5)], TOKENS));
  const sides = {
    inside: async () => totalRate(await Promise.all(requests().map((request) => engine.run(request)))),
    behind: async () => totalRate(await Promise.all(requests().map((request) => through(client, request)))),
  };
  await interleaved(2, sides);
  const { inside, behind } = await interleaved(rounds(ROUNDS), sides);
  return [
    streams,
    spread(inside, 0),
    spread(behind, 0),
    spread(
      behind.map((rate, round) => rate / inside[round]),
      2,
    ),
    spread(behind.map((rate, round) => 1e6 / rate - 1e6 / inside[round])),
  ];
}

async function through(client, request) {
  const outcome = { sent: performance.now(), tokens: [], end: undefined };
  for await (const { report } of client.submit(request, new AbortController().signal)) {
    for (const _ of report.tokens) outcome.tokens.push(performance.now() - outcome.sent);
    if (report.finish?.message !== undefined) throw new Error(report.finish.message);
  }
  outcome.end = { tokens_out: outcome.tokens.length };
  return outcome;
}

/** The cost of the turns of the event loop alone. */
const emptyTurns = () =>
  busyMicros(async () => {
    for (let index = 0; index < FRAMES; index += 1) await new Promise(setImmediate);
  });

async function framesInMemory() {
  const answer = nowhere();
  const log = logReadInto(answer);
  return busyMicros(() => Promise.all([write(log), finished(answer)]));
}

/** The reader sends its next request as soon as a stream ends. Each answer is a round; the first warms up. */
async function framesOverSocket(count) {
  const busy = [];
  const server = createServer(async (_, reply) => {
    const log = logReadInto(reply);
    busy.push(await busyMicros(() => Promise.all([write(log), finished(reply)])));
    if (busy.length > count) server.emit('enough');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const reader = new Worker(new URL('./load-thread.mjs', import.meta.url), { workerData: { url, clients: 1 } });
  await once(server, 'enough');
  reader.postMessage('stop');
  await once(reader, 'message');
  server.close();
  return busy.slice(1, count + 1);
}

async function write(log) {
  for (let index = 0; index < FRAMES; index += 1) {
    log.emit({ type: 'token', t: ' token', i: index });
    await new Promise(setImmediate);
  }
  log.emit({ type: 'end' });
}

/** Microseconds per frame that this thread's event loop was not idle. */
async function busyMicros(work) {
  const before = performance.eventLoopUtilization();
  await work();
  return (performance.eventLoopUtilization(before).active * 1000) / FRAMES;
}
