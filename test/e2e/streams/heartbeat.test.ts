/** A stream without events gets a comment, as often as --sse-heartbeat says. */
import { afterEach, expect, test } from 'vitest';
import { readConfig } from '../../../src/config/config.ts';
import { connectionOptions } from '../../../src/http/connections.ts';
import { enginePid } from '../../support/cli.ts';
import { longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { startWorker } from '../../support/worker.ts';

afterEach(killAll);

test('a stream of a silent engine gets comments, and so does a stream that joins it', async () => {
  const worker = await startWorker({ args: ['--slots', '1', '--sse-heartbeat', '1'] });
  process.kill(enginePid(worker), 'SIGSTOP');
  const streams = [await worker.post('/execute', longJob('quiet')), await worker.get('/jobs/quiet/events')];
  for (const stream of streams) {
    let text = '';
    for await (const chunk of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      if (text.endsWith(': keep-alive\n\n: keep-alive\n\n')) break;
    }
    // Comments stand between events, and have no id.
    expect(text).toMatch(/^id: \w+-0\nevent: started\n/);
    expect(text).toMatch(/\n\n: keep-alive\n\n: keep-alive\n\n$/);
  }
});

test('the idle time of a connection is longer than two heartbeats', () => {
  for (const seconds of [1, 15, 60, 300]) {
    const config = readConfig(['--sse-heartbeat', String(seconds), '--slow-timeout', '1'], {});
    expect(connectionOptions(config).connectionTimeout).toBeGreaterThan(2 * seconds * 1000);
  }
});
