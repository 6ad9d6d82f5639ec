/**
 * One use of the client in any runtime: Node.js, Deno, Bun and a browser run this file unchanged. As a script:
 *
 *   <runtime> scenario.mjs <URLs in JSON>           prints the result in JSON
 */

/** A job whose text depends on its seed only. */
const JOB = { prompt: 'The sea', temperature: 1, seed: 7, max_tokens: 60, min_tokens: 60 };
const LONG = { ...JOB, max_tokens: 450, min_tokens: 450 };

/**
 * @param client the module `rbees-workerd/client`
 * @param urls `worker`, and proxies of it: `cutting` cuts its first answer in the middle, `losing` before its
 * head, `silent` stalls it; nobody listens at `nowhere`
 */
export async function scenario({ WorkerClient, RefusedError, ConnectionError }, urls) {
  const worker = new WorkerClient({ url: urls.worker });
  const run = worker.execute(JOB, { correlationId: 'req-scenario' });
  const [text, end, stories] = await Promise.all([run.text(), run.end(), collect(run.narration())]);
  const textBehind = (url, options) => new WorkerClient({ url }).execute(JOB, options).text();
  const refused = await errorOf(worker.attach('nobody').text());
  const unreachable = await errorOf(textBehind(urls.nowhere, { resumeForMs: 200 }));
  return {
    text,
    tokens: end.tokens_out,
    told: stories.every(({ human }) => human.length > 0) && stories.length > 2,
    resumed: (await textBehind(urls.cutting)) === text,
    found: (await textBehind(urls.losing)) === text,
    unstalled: (await textBehind(urls.silent, { silenceMs: 500 })) === text,
    attached: (await worker.attach(run.jobId).text()) === text,
    refused: [refused instanceof RefusedError, refused.status, refused.code],
    unreachable: unreachable instanceof ConnectionError,
    aborted: await aborted(worker),
    left: await left(worker),
    running: await settled(worker),
    status: (await worker.health()).status,
  };
}

/** The message of the error of a run that is aborted at its first token. */
async function aborted(worker) {
  const controller = new AbortController();
  const run = worker.execute(LONG, { signal: controller.signal });
  const error = await errorOf(
    (async () => {
      for await (const event of run) if (event.type === 'token') controller.abort(new Error('enough'));
    })(),
  );
  return error.message;
}

/** True if a loop can be left at its first token. */
async function left(worker) {
  for await (const event of worker.execute(LONG)) if (event.type === 'token') return true;
  return false;
}

/** The number of jobs that still run when all cancelled jobs have ended. */
async function settled(worker) {
  for (;;) {
    const { waiting, running, stopping } = (await worker.jobs()).totals;
    if (stopping === 0 && running === 0) return waiting;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const errorOf = (promise) =>
  promise.then(
    () => new Error('no error'),
    (error) => error,
  );

async function collect(events) {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

const urls = globalThis.process?.argv[2];
if (urls !== undefined)
  globalThis.process.stdout.write(
    JSON.stringify(await scenario(await import('rbees-workerd/client'), JSON.parse(urls))),
  );
