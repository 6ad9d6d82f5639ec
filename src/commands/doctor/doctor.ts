/**
 * `rbees-workerd doctor`: which devices there are, which one a worker with these settings would use, what is missing and the command that
 * fixes it, and whether each device draws the tokens of the CPU. stdout gets the report, a terminal's stderr what is being done.
 */
import { EngineChild, forkEngine } from '../../bridge/child.ts';
import { type Config, engineEnvironment, readConfig } from '../../config/config.ts';
import { engineOptions, staysOnCpu } from '../../lifecycle/load-model.ts';
import { modelFolder, modelName } from '../../model/folder.ts';
import { locateModel, type ModelFiles } from '../../model/locate.ts';
import { libraryPath } from '../../model/runtime-library.ts';
import { type ModelSpec, readSpec } from '../../model/spec.ts';
import { devicesToTry } from '../../protocol/devices.ts';
import type { DeviceProbe, ProbedDevice } from '../../protocol/probe.ts';
import { Tokenizer } from '../../text/tokenizer/tokenizer.ts';
import { fixFor, fixForRuntime } from './fixes.ts';
import { found, type HostInfo, hostInfo } from './host-info.ts';
import { type DeviceRow, formatReport, type ModelRow, type Report } from './report.ts';
import { drawTen, type SmokeTestRun } from './smoke-test.ts';

const SURVEY_MS = 120_000;
const PROMPT = 'Write a haiku about morning light.';
/** Enough for the prompt and ten tokens: whether the cache of a long context fits is told when a worker starts. */
const CONTEXT = 128;

/**
 * Runs the command; `args` are settings of a worker, and `--json`. Resolves with the exit code: 0 when the device that would be used works.
 * @throws ConfigError for a bad command line.
 */
export async function doctor(args: readonly string[], version: string): Promise<number> {
  const config = readConfig(args.filter((argument) => argument !== '--json'));
  const report = await examine(config, version);
  const text = args.includes('--json') ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report);
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
  return report.ok ? 0 : 1;
}

async function examine(config: Config, version: string): Promise<Report> {
  const host = hostInfo(config);
  const library = found(() => config.runtimeLibrary ?? libraryPath());
  const asked = devicesToTry(config.device);
  const survey =
    'problem' in library ? { runtimeProblem: library.problem, devices: [] } : await probeDevices(library.value, asked);
  const { runtimeVersion, runtimeProblem, nvidia, vulkan } = survey;
  const names = survey.devices.map(({ name }) => name);
  const model = await openModel(config, names);
  const smoke = 'problem' in model || runtimeVersion === undefined ? undefined : new SmokeTest(config, model);
  const rows: DeviceRow[] = [];
  for (const device of survey.devices) rows.push((await smoke?.examine(device, host)) ?? rowOf(device, host));
  const used = chosen(config, rows, model);
  return {
    ok: rows.some(({ device, run }) => device === used?.device && run?.works === true),
    versions: { worker: version, node: process.versions.node, platform: host.platform, koffi: survey.koffiVersion },
    runtime: {
      library: 'problem' in library ? undefined : library.value,
      version: runtimeVersion,
      problem: runtimeProblem,
      fix: runtimeProblem === undefined ? undefined : fixForRuntime(host),
    },
    nvidia,
    vulkan,
    model: 'problem' in model ? { name: modelName(config), problem: model.problem } : summaryOf(model),
    setting: config.device,
    used,
    devices: rows,
  };
}

/** What can be known before anything is opened, from a process of its own: a broken driver takes that one with it. */
async function probeDevices(
  library: string,
  asked: readonly string[],
): Promise<Partial<DeviceProbe> & Pick<DeviceProbe, 'devices'>> {
  say('Looking for devices…');
  const child = new EngineChild(forkEngine(engineEnvironment()), {});
  try {
    return await child.probe(library, asked, SURVEY_MS);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { runtimeProblem: `the look at the devices ended: ${reason}`, devices: [] };
  } finally {
    await child.close();
  }
}

interface OpenModel {
  readonly name: string;
  readonly files: ModelFiles;
  readonly spec: ModelSpec;
  readonly prompt: readonly number[];
}

async function openModel(
  config: Config,
  devices: readonly string[],
): Promise<OpenModel | { readonly problem: string }> {
  try {
    const files = await locateModel(modelFolder(config), config.dtype, devices.length > 0 ? devices : ['cpu']);
    const spec = await readSpec(files);
    const tokenizer = await Tokenizer.open(files);
    const prompt = await tokenizer.encode(PROMPT, { addSpecialTokens: true });
    return { name: modelName(config), files, spec, prompt };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

const summaryOf = ({ name, files, spec }: OpenModel): ModelRow => ({
  name,
  architecture: spec.architecture,
  dtypes: files.dtypes,
});

/** Ten tokens on one device after the other, each held against the CPU's with the same weights. */
class SmokeTest {
  readonly #config: Config;
  readonly #model: OpenModel;
  /** Runs on the CPU by file of weights. */
  readonly #onCpu = new Map<string, Promise<SmokeTestRun>>();

  constructor(config: Config, model: OpenModel) {
    this.#config = config;
    this.#model = model;
  }

  async examine(surveyed: ProbedDevice, host: HostInfo): Promise<DeviceRow> {
    const row = rowOf(surveyed, host);
    const weights = this.#model.files.choices.find(({ device }) => device === surveyed.name);
    if (surveyed.obstacle !== undefined || !weights) return row;
    say(`Drawing ten tokens on ${surveyed.name}…`);
    const { modelFile, weightFiles, dtype } = weights;
    const cpu = this.#onCpu.get(modelFile) ?? this.#draw({ device: 'cpu', modelFile, weightFiles });
    this.#onCpu.set(modelFile, cpu);
    const run = await (surveyed.name === 'cpu' ? cpu : this.#draw({ device: surveyed.name, modelFile, weightFiles }));
    const rounds = dtype.includes('16') || surveyed.name.startsWith('cuda');
    const told = runOf(run, await cpu, rounds);
    const fix = run.problem === undefined ? row.fix : fixFor(run.problem, host);
    return { ...row, dtype, run: told, fix };
  }

  #draw(candidate: { device: string; modelFile: string; weightFiles: readonly string[] }): Promise<SmokeTestRun> {
    const { files, spec, prompt } = this.#model;
    const context = Math.min(CONTEXT, spec.contextLength);
    const settings = { ...this.#config, slots: 1, context, speculation: 'off' as const };
    return drawTen({ ...engineOptions(settings, files, spec), candidates: [candidate] }, prompt, engineEnvironment());
  }
}

function rowOf({ name, obstacle, autoObstacle }: ProbedDevice, host: HostInfo): DeviceRow {
  const reason = obstacle ?? autoObstacle;
  return {
    device: name,
    obstacle,
    auto_obstacle: autoObstacle,
    fix: reason === undefined ? undefined : fixFor(reason, host),
  };
}

/**
 * `rounds`: with half floats, which CUDA's attention computes with whatever the weights are. They may turn a close call, so that such a run
 * works when it began as the CPU's.
 */
function runOf(run: SmokeTestRun, cpu: SmokeTestRun, rounds: boolean): NonNullable<DeviceRow['run']> {
  const { outcome, ids, problem, openMs, tokensPerSecond, deviceBytes } = run;
  const differs = cpu.ids.findIndex((id, index) => id !== ids[index]);
  const same = differs < 0 ? Math.min(ids.length, cpu.ids.length) : differs;
  return {
    works: outcome === 'ran' && cpu.outcome === 'ran' && (same === ids.length || (rounds && same > 0)),
    outcome,
    problem: problem ?? (cpu.outcome === 'ran' ? undefined : `not compared: the CPU ${cpu.problem}`),
    tokens: ids.length,
    tokens_as_cpu: same,
    open_ms: openMs,
    tokens_per_sec: tokensPerSecond,
    vram_bytes: deviceBytes,
  };
}

/** The device that a worker would take, and why. A device that crashes ends a worker: `auto` goes on only from one that refuses. */
function chosen(config: Config, rows: readonly DeviceRow[], model: OpenModel | object): Report['used'] {
  const order = devicesToTry(config.device);
  if (config.device !== 'auto') return { device: order[0] ?? 'cpu', reason: 'asked for by --device' };
  const choices = 'files' in model ? model.files.choices.filter(({ device }) => order.includes(device)) : [];
  if (choices.length > 0 && staysOnCpu(config, { choices }))
    return { device: 'cpu', reason: 'the model is under 32 MB: a step on a GPU takes longer to start than to compute' };
  const taken = order.find((name) =>
    rows.some(
      ({ device, auto_obstacle, run }) => device === name && !auto_obstacle && run && run.outcome !== 'refused',
    ),
  );
  return taken === undefined ? undefined : { device: taken, reason: 'the first that opens' };
}

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
}
