/**
 * `rbees-workerd doctor`: lists the devices, names the one that a worker with these settings would use, gives
 * a fix for each obstacle, and compares ten tokens of each device with those of the CPU. Writes the report to
 * stdout, and progress to stderr if that is a terminal.
 */
import { EngineChild, forkEngine } from '../../bridge/child.ts';
import { type Config, engineEnvironment, readSettings } from '../../config/config.ts';
import { hideSecrets } from '../../config/host/hide-secrets.ts';
import { isAddressSetting } from '../../config/network/address-settings.ts';
import { candidateOf, engineOptions, staysOnCpu } from '../../lifecycle/load-model.ts';
import { openText } from '../../lifecycle/open-text.ts';
import { describeReason } from '../../lifecycle/reasons.ts';
import { readDecoder } from '../../model/checkpoint/read-decoder.ts';
import { modelFolder, modelName } from '../../model/folder.ts';
import { locateModel, type ModelFiles } from '../../model/locate.ts';
import { selectedLibrary } from '../../model/runtime-library.ts';
import { type ModelSpec, readSpec } from '../../model/spec.ts';
import { harmless } from '../../narration/sanitize.ts';
import type { DecoderSpec } from '../../protocol/decoder/decoder-spec.ts';
import { CPU, DEVICES, type DeviceName, deviceOf, devicesToTry, isCpu, kindOf } from '../../protocol/devices.ts';
import type { Candidate } from '../../protocol/loading.ts';
import type { DeviceProbe, ProbedDevice } from '../../protocol/probe.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { ChatTemplates } from '../../text/template/chat-templates.ts';
import { Terminal } from '../terminal.ts';
import { reportUnknown } from '../unknown-settings.ts';
import { fixFor, fixForRuntime } from './fixes.ts';
import { attempt, type HostInfo, hostInfo } from './host-info.ts';
import { type DeviceRow, formatReport, type ModelRow, type Report } from './report.ts';
import { generateTen, type SmokeTestRun } from './smoke-test.ts';

const PROBE_MS = 120_000;
const PROMPT = 'Write a haiku about morning light.';
/** Enough for the prompt and ten tokens. Only the start of a worker checks the memory for a long context. */
const CONTEXT = 128;

/**
 * Runs the command.
 * @param args settings of a worker, and `--json`
 * @returns the exit code: 0 if the device that a worker would use works, otherwise 1
 * @throws ConfigError for a bad command line.
 */
export async function doctor(args: readonly string[], version: string): Promise<number> {
  const flags = args.filter((argument) => argument !== '--json');
  const { config, unknown } = readSettings(flags, { reads: (name) => !isAddressSetting(name) });
  hideSecrets();
  await reportUnknown(unknown);
  const report = await examine(config, version);
  const text = args.includes('--json') ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report);
  await Terminal.stdout().print(text);
  return report.ok ? 0 : 1;
}

async function examine(config: Config, version: string): Promise<Report> {
  const host = hostInfo(config);
  const library = attempt(() => selectedLibrary(config));
  const wanted = devicesToTry(config.device);
  const probe =
    'problem' in library ? { runtimeProblem: library.problem, devices: [] } : await probeDevices(library.value, wanted);
  const { runtimeVersion, runtimeProblem, nvidia, vulkan } = probe;
  const names = probe.devices.map(({ name }) => name);
  const model = await openModel(config, names);
  const smoke = 'problem' in model || runtimeVersion === undefined ? undefined : new SmokeTest(config, model);
  const rows: DeviceRow[] = [];
  for (const device of probe.devices) rows.push((await smoke?.examine(device, host)) ?? rowOf(device, host));
  const used = chosen(config, rows, model);
  return {
    ok: rows.some(({ device, run }) => device === used?.device && run?.works === true),
    versions: { worker: version, node: process.versions.node, platform: host.platform, koffi: probe.koffiVersion },
    runtime: {
      library: 'problem' in library ? undefined : library.value,
      version: runtimeVersion,
      problem: runtimeProblem,
      fix: runtimeProblem === undefined ? undefined : fixForRuntime(host),
    },
    nvidia,
    vulkan,
    model: 'problem' in model ? { name: modelName(config), problem: model.problem } : summaryOf(model),
    threads: { used: rows.find(({ device }) => device === used?.device)?.run?.threads, auto: probe.threads },
    setting: config.device,
    used,
    devices: rows,
  };
}

/** The facts known before a model is opened, from a separate process: a broken driver may crash it. */
async function probeDevices(
  library: string,
  wanted: readonly DeviceName[],
): Promise<Partial<DeviceProbe> & Pick<DeviceProbe, 'devices'>> {
  say('Looking for devices…');
  const child = new EngineChild(forkEngine(engineEnvironment()), {});
  try {
    return await child.probe(library, wanted, PROBE_MS);
  } catch (error) {
    const reason = messageOf(error);
    return { runtimeProblem: `the search for devices failed: ${reason}`, devices: [] };
  } finally {
    await child.close();
  }
}

interface OpenModel {
  readonly name: string;
  readonly files: ModelFiles;
  readonly spec: ModelSpec;
  /** The decoder of a checkpoint. */
  readonly decoder: DecoderSpec | undefined;
  readonly prompt: readonly number[];
  readonly templates: ChatTemplates;
}

async function openModel(
  config: Config,
  devices: readonly DeviceName[],
): Promise<OpenModel | { readonly problem: string }> {
  try {
    const files = await locateModel(modelFolder(config), config.dtype, devices.length > 0 ? devices : [CPU]);
    const spec = await readSpec(files, { context: config.context });
    const decoder = await readDecoder(files, config.context ?? spec.contextLength);
    const { tokenizer, templates } = await openText(files, { tokens: spec.tokens });
    const prompt = await tokenizer.encode(PROMPT, { addSpecialTokens: true });
    return { name: modelName(config), files, spec, decoder, prompt, templates: new ChatTemplates(templates) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

const summaryOf = ({ name, files, spec, templates }: OpenModel): ModelRow => ({
  name,
  architecture: spec.architecture,
  dtypes: files.dtypes,
  templates: templates.all.map((one) => ({
    name: harmless(one.name),
    file: harmless(one.file),
    problem: one.reason === undefined ? undefined : harmless(one.reason),
  })),
  default_template: templates.fallback && harmless(templates.fallback.name),
});

/** Generates ten tokens on each device, and compares them with those of the CPU with the same weights. */
class SmokeTest {
  readonly #config: Config;
  readonly #model: OpenModel;
  /** Runs on the CPU, by model file: each file runs once. */
  readonly #onCpu = new Map<string, Promise<SmokeTestRun>>();

  constructor(config: Config, model: OpenModel) {
    this.#config = config;
    this.#model = model;
  }

  async examine(probed: ProbedDevice, host: HostInfo): Promise<DeviceRow> {
    const row = rowOf(probed, host);
    const weights = this.#model.files.choices.find(({ device }) => device === probed.name);
    if (probed.obstacle !== undefined || !weights) return row;
    say(`Generating ten tokens on ${probed.name}…`);
    const { modelFile, dtype, checkpoint } = weights;
    const candidate = candidateOf(weights, this.#model.decoder);
    const cpu = this.#onCpu.get(modelFile) ?? this.#generate({ ...candidate, device: CPU });
    this.#onCpu.set(modelFile, cpu);
    const run = await (isCpu(probed.name) ? cpu : this.#generate(candidate));
    // A device without half floats in its attention computes a checkpoint in float32.
    const isHalf = checkpoint === undefined && dtype.includes('16');
    const rounds = isHalf || DEVICES[kindOf(probed.name)].halfAttention;
    const fix = run.problem === undefined ? row.fix : run.reason && fixFor(run.reason, host);
    return { ...row, dtype, run: runOf(run, await cpu, rounds), fix };
  }

  #generate(candidate: Candidate): Promise<SmokeTestRun> {
    const { files, spec, decoder, prompt } = this.#model;
    const context = Math.min(CONTEXT, spec.contextLength);
    const settings = { ...this.#config, slots: 1, context, speculation: 'off' as const };
    return generateTen(
      { ...engineOptions(settings, files, spec, decoder), candidates: [candidate] },
      prompt,
      engineEnvironment(),
    );
  }
}

function rowOf({ name, obstacle, autoObstacle }: ProbedDevice, host: HostInfo): DeviceRow {
  const reason = obstacle ?? autoObstacle;
  return {
    device: name,
    obstacle: obstacle && describeReason(obstacle),
    auto_obstacle: autoObstacle && describeReason(autoObstacle),
    fix: reason === undefined ? undefined : fixFor(reason, host),
  };
}

/**
 * @param rounds true if the device computes with half floats: because of the weights or of its attention.
 * Half floats can change the choice between two likely tokens, so such a run works if its first token is the
 * CPU's.
 */
function runOf(run: SmokeTestRun, cpu: SmokeTestRun, rounds: boolean): NonNullable<DeviceRow['run']> {
  const { outcome, ids, problem, openMs, tokensPerSecond, deviceBytes, threads } = run;
  const differs = cpu.ids.findIndex((id, index) => id !== ids[index]);
  const same = differs < 0 ? Math.min(ids.length, cpu.ids.length) : differs;
  return {
    works: outcome === 'ran' && cpu.outcome === 'ran' && (same === ids.length || (rounds && same > 0)),
    outcome,
    problem: problem ?? (cpu.outcome === 'ran' ? undefined : `no comparison: the CPU failed (${cpu.problem})`),
    tokens: ids.length,
    tokens_as_cpu: same,
    open_ms: openMs,
    tokens_per_sec: tokensPerSecond,
    vram_bytes: deviceBytes,
    threads,
  };
}

/**
 * The device that a worker would use, and why. A device that crashes ends the worker: `auto` skips only
 * devices that refuse the model.
 */
function chosen(config: Config, rows: readonly DeviceRow[], model: OpenModel | object): Report['used'] {
  const order = devicesToTry(config.device);
  const selected = deviceOf(config.device);
  if (selected !== undefined) return { device: selected, reason: 'selected by --device' };
  const choices = 'files' in model ? model.files.choices.filter(({ device }) => order.includes(device)) : [];
  if (choices.length > 0 && staysOnCpu(config, { choices }))
    return { device: CPU, reason: 'the model is under 32 MB: starting a step on a GPU takes longer than computing it' };
  const first = order.find((name) =>
    rows.some(
      ({ device, auto_obstacle, run }) => device === name && !auto_obstacle && run && run.outcome !== 'refused',
    ),
  );
  return first === undefined ? undefined : { device: first, reason: 'the first device that opens' };
}

function say(text: string): void {
  const terminal = Terminal.stderr();
  if (terminal.isTTY) terminal.write(`${text}\n`);
}
