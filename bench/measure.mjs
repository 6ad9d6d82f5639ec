/** What the benches share: a worker to measure, a stream to time, and how figures are summed up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventSourceParserStream } from 'eventsource-parser/stream';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** Starts a worker. Resolves when it says that it is warm, with the milliseconds from spawn to each of its lines so far. */
export async function startWorker(args = []) {
  const began = performance.now();
  const child = spawn(process.execPath, [CLI, '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const at = {};
  let url = '';
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text);
    at[line.event] ??= performance.now() - began;
    if (line.event === 'server.bound') url = line.url;
    if (line.event === 'warmup.done') break;
  }
  child.stdout.resume();
  const stop = async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  return { url, at, stop };
}

/** Sends one job; calls `onEvent` with each event's data as it arrives, and the milliseconds since the POST was sent. */
export async function execute(url, body, onEvent) {
  const began = performance.now();
  const response = await fetch(`${url}/execute`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ job_id: crypto.randomUUID(), ...body }),
  });
  if (!response.ok) throw new Error(await response.text());
  for await (const { data } of response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())) {
    onEvent(JSON.parse(data), performance.now() - began);
  }
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/** `median (lowest … highest)`, in milliseconds. */
export function spread(values, digits = 1) {
  const show = (value) => value.toFixed(digits);
  return `${show(quantile(values, 0.5))} (${show(quantile(values, 0))} … ${show(quantile(values, 1))})`;
}

/** A Markdown section with a table. */
export function section(title, prediction, head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [`## ${title}`, '', prediction, '', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}
