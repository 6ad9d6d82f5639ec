/** The time from the spawn of the process until it is ready. */
import { rounds, section, spread, table } from './measure.mjs';
import { startWorker } from './processes.mjs';

const RUNS = 15;

export async function coldStart() {
  const runs = [];
  for (let run = 0; run < rounds(RUNS); run += 1) {
    const worker = await startWorker();
    runs.push(worker.at);
    await worker.stop();
  }
  const row = (label, event) => [
    label,
    spread(
      runs.map((at) => at[event]),
      0,
    ),
  ];
  return section('Cold start', [
    `Milliseconds from spawn, ${runs.length} starts. Goal: about 500 to ready.`,
    table(
      ['until', 'ms'],
      [
        row('first line (`worker.startup`)', 'worker.startup'),
        row('listening (`server.bound`)', 'server.bound'),
        row('runtime loaded (`device.cpu`)', 'device.cpu'),
        row('model loaded (`model.loaded`)', 'model.loaded'),
        row('ready (`warmup.done`)', 'warmup.done'),
      ],
    ),
  ]);
}
