/**
 * Tells routers which workers of a pool serve: the file that the router of llm-d reads (plugin
 * `file-discovery`), and HAProxy, by its admin socket. A new worker serves without a reload of HAProxy.
 *
 * HAProxy needs a backend with `server-template w 1-<n> 0.0.0.0:0 disabled`: the worker of array task 3 is
 * server w3. The map has the server of each worker id, for requests that must reach one worker.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

/** The router of llm-d reads no larger file. */
const MAX_BYTES = 2 ** 20;
/** HAProxy reads a line into one buffer, of 16 KiB by default. A command has less than 300 bytes. */
const COMMANDS_PER_LINE = 50;
const ANSWER_MS = 5000;
/** Bits of `srv_admin_state`. Bit 0x04 only says that the configuration began with `disabled`. */
const [MAINTENANCE, DRAIN] = [0x01, 0x08];
/** Answers of HAProxy to commands that it did not follow. */
const REFUSAL = /^(?:permission|unknown|no such|can't|invalid|missing|require|malformed)/i;

/**
 * Writes the files that `paths` names, and changes the servers of each HAProxy that differ.
 *
 * @param workers `{ index, worker_id, address, port, model, state }`, all but `index` are strings;
 *   `state` is `ready` or `drain`
 * @param paths `{ endpoints, map, haproxy, backend }`: two files, admin sockets, the name of a backend
 * @throws Error if a file or an HAProxy cannot be changed; the others are changed
 */
export async function publish(workers, { endpoints, map, haproxy, backend }) {
  const ready = workers.filter(({ state }) => state === 'ready');
  const rows = workers.map(({ worker_id, index }) => `${worker_id} w${index}`);
  const entries = ready.length === 0 ? 'endpoints: []\n' : ['endpoints:', ...ready.map(entryOf), ''].join('\n');
  const changeHaproxy = async (socket) => {
    await setServers(socket, backend, workers);
    if (map) await setMap(socket, map, rows);
  };
  const changes = await Promise.allSettled([
    endpoints && replace(endpoints, entries),
    map && replace(map, rows.map((row) => `${row}\n`).join('')),
    ...haproxy.map(changeHaproxy),
  ]);
  const failures = changes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message);
  if (failures.length > 0) throw new Error(failures.join(' '));
}

/** An entry in YAML. `port` is a string there. */
function entryOf({ worker_id, address, port, model }) {
  return `  - ${JSON.stringify({ name: worker_id, address, port, labels: { model } })}`;
}

/** Replaces a file by a rename, so that no reader sees half of it. */
async function replace(file, content) {
  if (Buffer.byteLength(content) > MAX_BYTES) throw new Error(`${file} would be larger than ${MAX_BYTES} bytes.`);
  if ((await readFile(file, 'utf8').catch(() => undefined)) === content) return;
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}

/** Sends a line to the admin socket. HAProxy closes the connection after its answer. */
async function ask(socket, line) {
  const connection = connect(socket);
  connection.setTimeout(ANSWER_MS, () => connection.destroy(new Error(`HAProxy does not answer at ${socket}.`)));
  connection.write(`${line}\n`);
  const answer = (await text(connection)).trim();
  if (REFUSAL.test(answer)) throw new Error(`HAProxy answered: ${answer.slice(0, 200)}`);
  return answer;
}

async function tell(socket, commands) {
  for (let at = 0; at < commands.length; at += COMMANDS_PER_LINE) {
    await ask(socket, commands.slice(at, at + COMMANDS_PER_LINE).join(';'));
  }
}

async function setServers(socket, backend, workers) {
  const listed = rowsOf(await ask(socket, `show servers state ${backend}`));
  const wanted = new Map(workers.map((worker) => [`w${worker.index}`, worker]));
  const commands = listed.flatMap((row) => commandsFor(row, wanted.get(row.srv_name)));
  await tell(socket, commands);
  const lacking = [...wanted.keys()].filter((name) => listed.every((row) => row.srv_name !== name));
  if (lacking.length > 0) throw new Error(`Backend ${backend} of HAProxy has no servers ${lacking.join(', ')}.`);
}

/** The rows of `show servers state`, whose second line names the columns. */
function rowsOf(table) {
  const [, header = '', ...lines] = table.split('\n');
  const names = header.replace('# ', '').split(' ');
  return lines.map((line) => Object.fromEntries(line.split(' ').map((value, at) => [names[at], value])));
}

/** The commands that make a server that of this worker; without a worker they take it out of service. */
function commandsFor({ be_name, srv_name, srv_addr, srv_port, srv_admin_state }, worker) {
  const server = `${be_name}/${srv_name}`;
  const bits = Number(srv_admin_state) & (MAINTENANCE | DRAIN);
  if (!worker) return bits & MAINTENANCE ? [] : [`set server ${server} state maint`];
  const { address, port, state } = worker;
  const isThere = srv_addr === address && srv_port === port;
  const isRight = bits === (state === 'ready' ? 0 : DRAIN);
  return [
    ...(isThere ? [] : [`set server ${server} addr ${address} port ${port}`]),
    ...(isRight ? [] : [`set server ${server} state ${state}`]),
  ];
}

/** Replaces the map in one step, so that no request sees half of it. */
async function setMap(socket, map, rows) {
  const shown = (await ask(socket, `show map ${map}`)).split('\n');
  const listed = shown.map((line) => line.split(' ').slice(1).join(' ')).filter(Boolean);
  if (listed.sort().join() === rows.toSorted().join()) return;
  const version = /\d+/.exec(await ask(socket, `prepare map ${map}`))?.[0];
  await tell(socket, [...rows.map((row) => `add map @${version} ${map} ${row}`), `commit map @${version} ${map}`]);
}
