/** The clients of subscribers.mjs: argument 1 is a port, argument 2 the number of connections of each job. */
import http from 'node:http';

const [port, sizes] = process.argv.slice(2);
const agent = new http.Agent({ maxSockets: Number.POSITIVE_INFINITY });

const open = (job) =>
  new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: `/${job}`, agent }, (response) => {
      response.on('error', () => undefined).resume();
      resolve();
    });
    request.once('error', reject);
  });

const jobs = sizes.split(',').flatMap((size, job) => Array.from({ length: Number(size) }, () => job));
for (const job of jobs) await open(job);
process.send('connected');
