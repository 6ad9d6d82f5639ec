/** A worker that exits while its engine converts weights. */
import { EngineChild, forkEngine } from '../../../dist/bridge/child.js';

const child = new EngineChild(forkEngine(process.env), {
  onMessage: (message) => {
    if (message.kind === 'conversion' && message.progress.state === 'converting') process.send('converting');
  },
});
child.open(JSON.parse(process.argv[2])).catch(() => undefined);
process.on('message', () => process.exit(1));
