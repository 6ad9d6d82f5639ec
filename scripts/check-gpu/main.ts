/**
 * `npm run check:gpu` checks and measures the engine on a GPU within the time of `--minutes`: ids, SIGKILL,
 * speed, memory, options, and the speed of PyTorch. Writes tables after every part; exits with 1 if a result is
 * wrong. `--help` says how to run it on a machine without npm.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { libraryPath } from '../../src/model/runtime-library.ts';
import { CPU, type DeviceName, devicesToTry, isCpu } from '../../src/protocol/devices.ts';
import type { DeviceProbe } from '../../src/protocol/probe.ts';
import { softwareVulkan } from '../../test/support/vulkan.ts';
import { deadlinesOf, turnMs } from './budget.ts';
import { bandwidthOf, cardDevices, cardOf, factsSection, obstaclesOf } from './card.ts';
import { type Check, messageOf, Results, say } from './check.ts';
import { HELP, readCommandLine } from './command-line.ts';
import { checkCorrectness } from './correctness-part.ts';
import { probeMachine } from './engine-process.ts';
import { goalsOf, goalsSection } from './goals.ts';
import { checkKills } from './kill-part.ts';
import { Models, makeHere } from './models.ts';
import { checkOptions, optionFormats } from './options-part.ts';
import { pack } from './pack.ts';
import { Page } from './page.ts';
import { checkPeer, peerVersions } from './peer-part.ts';
import { findUsable } from './preflight.ts';
import { type Format, SCALES, type ShapeName } from './shapes.ts';
import { checkSpeed, measuredModels, setupsOf } from './speed-part.ts';

type CommandLine = ReturnType<typeof readCommandLine>;

/** Shares of the time of a device. The second device of a card has no options and no PyTorch. */
const SHARES = { correctness: 16, kill: 8, speed: 52, options: 14, peer: 10 };
const SECOND_SHARES = { correctness: 40, kill: 10, speed: 50, options: 0, peer: 0 };
/** A GPU in software takes half a minute for a kill. */
const SOFTWARE_SHARES = { correctness: 14, kill: 36, speed: 34, options: 16, peer: 0 };
/** The part of the time that all devices but the first have. */
const SECOND_SHARE = 0.3;
/** Time for the first probe and the last page. */
const EDGE_MS = 5000;
const THREADS_OF_AN_ENGINE = 2;
/** Engines at a time: each needs up to 1 GB of the card for its context. */
const MOST_ENGINES = 6;
/** The part of the time of the measurements in which they wait for the models. */
const MOST_WAITING = 1 / 3;
/** The shape with which options are compared. */
const OPTIONS_SHAPE = '1 B';

/**
 * The libraries to try, in this order: the one that is given, and that of the package.
 * @throws Error for a path without a file: the check would run on another device than meant
 */
function librariesOf({ 'runtime-library': given }: CommandLine): string[] {
  if (given !== undefined && basename(given) !== given && !existsSync(given))
    throw new Error(`--runtime-library: ${given} does not exist`);
  const library = given !== undefined && existsSync(given) ? resolve(given) : given;
  if (library === undefined) return [libraryPath()];
  try {
    return [library, libraryPath()];
  } catch {
    // The package is not installed.
    return [library];
  }
}

/** The devices to check. @throws Error if the machine has no card and none is chosen */
function devicesOf({ device, rehearse }: CommandLine, probe: DeviceProbe): DeviceName[] {
  if (device !== undefined) return device.split(',').flatMap((name) => devicesToTry(name).slice(0, 1));
  const found = cardDevices(probe);
  if (found.length > 0) return found;
  if (!rehearse)
    throw new Error(
      `This machine has no usable GPU: ${obstaclesOf(probe).join('; ') || 'no obstacle is known'}. A rehearsal: npm run check:gpu -- --rehearse`,
    );
  return softwareVulkan ? ['webgpu', CPU] : [CPU];
}

async function main(): Promise<number> {
  const line = readCommandLine(process.argv.slice(2));
  if (line.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (line.pack) {
    const { providers, architecture } = line;
    const lines = await pack({ providers, architecture });
    process.stdout.write(`${lines.join('\n')}\n`);
    return 0;
  }
  if (line.make !== undefined) {
    makeHere(line);
    return 0;
  }
  const began = performance.now();
  const folder = line.folder ?? mkdtempSync(join(tmpdir(), 'check-gpu-'));
  mkdirSync(folder, { recursive: true });
  const page = new Page(line.out);
  const models = new Models(folder, line.rehearse);
  const clean = (): void => {
    models.stop();
    if (line.folder === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  onSignal((signal) => {
    page.put({ title: 'Result', text: [`Cut off by ${signal}: the tables above are those until then.`] });
    page.finish();
    clean();
  });
  try {
    return await checkAll(line, { page, models, folder, endMs: began + line.minutes * 60_000 - EDGE_MS });
  } finally {
    page.finish();
    clean();
  }
}

/** Ends the process on a signal, after some last work. Engines end with this process. */
function onSignal(before: (signal: NodeJS.Signals) => void): void {
  // Also for a second signal, as timeout(1) sends it: it must not interrupt the work.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      before(signal);
      process.exit(128 + constants.signals[signal]);
    });
}

interface Whole {
  readonly page: Page;
  readonly models: Models;
  readonly folder: string;
  /** The end of all parts, on the clock of performance.now(). */
  readonly endMs: number;
}

async function checkAll(line: CommandLine, { page, models, folder, endMs }: Whole): Promise<number> {
  const libraries = librariesOf(line);
  const [first = ''] = libraries;
  const bare = await probeMachine(first, []);
  const isInSoftware = line.rehearse && !cardOf('webgpu', bare) && softwareVulkan !== undefined;
  const env = isInSoftware && softwareVulkan ? softwareVulkan : {};
  const probe = isInSoftware ? await probeMachine(first, [], env) : bare;
  const { usable, refused } = await findUsable(devicesOf(line, probe), libraries, env);
  const devices = usable.map(({ device }) => device);
  const card = devices.map((device) => cardOf(device, probe)).find((one) => one !== undefined);
  const bandwidth = line.bandwidth === undefined ? card && bandwidthOf(card.name) : line.bandwidth * 1e9;
  const scale = SCALES[!line.rehearse ? 'full' : devices[0] === 'webgpu' && isInSoftware ? 'software' : 'tiny'];
  const results = new Results();
  const parallel = Math.max(1, Math.min(MOST_ENGINES, Math.floor(availableParallelism() / THREADS_OF_AN_ENGINE)));
  const check = { runtimeLibrary: first, env, scale, folder, page, probe, bandwidth, parallel, results };
  const command = `npm run check:gpu -- ${process.argv.slice(2).join(' ')}`.trim();
  const peer = line['no-peer'] ? 'not asked' : peerVersions();
  page.put(factsSection({ probe, usable, refused, bandwidth, command, peer }));
  if (usable.length === 0) throw new Error(`No device opens: ${refused.join('; ')}`);
  say(`${devices.join(', ')}; ${card?.name ?? 'no card'}; tables: ${line.out}`);
  const others = devices.length - 1;
  const turns = devices.map((_, index) => (index > 0 ? SECOND_SHARE / others : others > 0 ? 1 - SECOND_SHARE : 1));
  for (const [index, { device, runtimeLibrary }] of usable.entries()) {
    const turn = { device, isFirst: index === 0, hasPeer: !line['no-peer'] };
    const totalMs = turnMs(endMs - performance.now(), turns, index);
    await checkDevice({ ...check, runtimeLibrary }, turn, totalMs, models);
    page.put(goalsSection(goalsOf(check, devices)));
  }
  return conclude(check, devices);
}

interface Turn {
  readonly device: DeviceName;
  /** The first device measures all models, and PyTorch runs beside it. */
  readonly isFirst: boolean;
  readonly hasPeer: boolean;
}

/** All parts on one device. A part that fails does not end the check. */
async function checkDevice(check: Check, turn: Turn, totalMs: number, models: Models): Promise<void> {
  const { device, isFirst, hasPeer } = turn;
  const { scale } = check;
  const first = scale.name === 'software' ? SOFTWARE_SHARES : { ...SHARES, peer: hasPeer ? SHARES.peer : 0 };
  const shares = isFirst ? first : SECOND_SHARES;
  const time = deadlinesOf(totalMs, shares);
  const measured = measuredModels(scale, isFirst);
  const optional = isFirst ? optionFormats(device).map((format) => [OPTIONS_SHAPE, format] as const) : [];
  // The processes that make the models run beside the first parts, which measure no time.
  const making = makeAll(models, [...measured, ...optional]);
  const known = await part(check, 'correctness', () => checkCorrectness(check, device, time.correctness));
  if (known) await part(check, 'SIGKILL', () => checkKills(check, device, time.kill, known));
  // A slow disk must not take the time of the measurements.
  await Promise.race([making, delay(time.speed.leftMs() * MOST_WAITING, undefined, { ref: false })]);
  await part(check, 'speed', () => checkSpeed(check, setupsOf(device, measured), time.speed, models.make));
  if (isFirst) {
    const setup = { device, shape: OPTIONS_SHAPE, mode: 'eager' } as const;
    await part(check, 'options', () => checkOptions(check, setup, time.options, models.make));
    if (hasPeer) await part(check, 'PyTorch', () => checkPeer(check, isCpu(device) ? 'cpu' : 'cuda', time.peer));
  }
}

/** Makes the models one after another, in the order of their use. A failure is reported where one is used. */
async function makeAll(models: Models, wanted: readonly (readonly [ShapeName, Format])[]): Promise<void> {
  for (const [shape, format] of wanted)
    await models.make(shape, format).catch((error: unknown) => models.isStopped || say(messageOf(error)));
}

async function part<T>({ page, results }: Check, name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    results.wrong.push(`${name}: ${messageOf(error)}`);
    page.put({ title: `Failed: ${name}`, text: [messageOf(error)] });
    say(`${name}: ${messageOf(error)}`);
    return undefined;
  }
}

function conclude({ page, results }: Check, devices: readonly DeviceName[]): number {
  const { wrong, compared } = results;
  const counted = `${compared.done} of ${compared.all} pairs of a model and a mode were compared with known ids.`;
  page.put({
    title: 'Result',
    text: [
      wrong.length === 0 ? `All results on ${devices.join(', ')} are right.` : `WRONG: ${wrong.join('; ')}.`,
      counted,
    ],
  });
  process.stdout.write(`${wrong.length} wrong\n${wrong.map((one) => `  ${one}\n`).join('')}`);
  return wrong.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 2;
}
