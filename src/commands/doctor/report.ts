/**
 * The report of `doctor`: an object for programs, and a page for a terminal. Pure.
 */
import { formatBytes } from '../../narration/phrases.ts';
import type { DeviceName } from '../../protocol/devices.ts';
import type { Nvidia, VulkanDevice } from '../../protocol/probe.ts';
import type { ThreadCount, ThreadsReason } from '../../protocol/threads.ts';
import type { Fix } from './fixes.ts';

/** One device: its obstacle, or the result of its smoke test. */
export interface DeviceRow {
  readonly device: DeviceName;
  /** Why the device cannot be used. */
  readonly obstacle: string | undefined;
  /** Why `auto` skips the device. */
  readonly auto_obstacle: string | undefined;
  readonly fix: Fix | undefined;
  /** Dtype of the weights chosen for the device. */
  readonly dtype?: string;
  readonly run?: {
    /**
     * True if all ten tokens equal those of the CPU with the same weights; with half floats, if at least the
     * first token does.
     */
    readonly works: boolean;
    readonly outcome: 'ran' | 'refused' | 'lost' | 'failed';
    readonly problem: string | undefined;
    readonly tokens: number;
    /** Number of tokens before the first one that differs from the CPU's. */
    readonly tokens_as_cpu: number;
    readonly open_ms: number | undefined;
    readonly tokens_per_sec: number | undefined;
    readonly vram_bytes: number | undefined;
    readonly threads: ThreadCount | undefined;
  };
}

export interface ModelRow {
  readonly name: string;
  readonly problem?: string;
  readonly architecture?: string;
  readonly dtypes?: readonly string[];
  /** The chat templates; a template with a problem cannot be used. */
  readonly templates?: readonly {
    readonly name: string;
    readonly file: string;
    readonly problem: string | undefined;
  }[];
  /** The template of requests that name none. */
  readonly default_template?: string | undefined;
}

/** The whole report, as `--json` prints it. */
export interface Report {
  /** True if the device that a worker would use works. */
  readonly ok: boolean;
  readonly versions: {
    readonly worker: string;
    readonly node: string;
    readonly platform: string;
    readonly koffi: string | undefined;
  };
  readonly runtime: {
    readonly library: string | undefined;
    readonly version: string | undefined;
    readonly problem: string | undefined;
    readonly fix: Fix | undefined;
  };
  readonly nvidia: Nvidia | undefined;
  readonly vulkan: readonly VulkanDevice[] | undefined;
  readonly model: ModelRow;
  readonly threads: {
    /** Threads on the CPU of a worker with these settings; undefined if the model did not open. */
    readonly used: ThreadCount | undefined;
    /** Threads of `--threads auto` for a model of 32 MB or more; undefined if the engine did not start. */
    readonly auto: ThreadCount | undefined;
  };
  /** The value of `--device`. */
  readonly setting: string;
  readonly used: { readonly device: DeviceName; readonly reason: string } | undefined;
  readonly devices: readonly DeviceRow[];
}

/** The report as a page for a terminal. */
export function formatReport(report: Report): string {
  const parts = [
    versions(report),
    threads(report),
    drivers(report),
    ...devices(report),
    verdict(report),
    fixes(report),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function versions({ versions: { worker, node, platform, koffi }, runtime }: Report): string {
  const first = `rbees-workerd ${worker} · Node ${node} · ${platform}${koffi === undefined ? '' : ` · koffi ${koffi}`}`;
  const { library, version, problem } = runtime;
  const second = version === undefined ? `cannot be used: ${problem}` : `${version}, ${library}`;
  return `${first}\nONNX Runtime ${second}`;
}

const THREAD_REASONS: Readonly<Record<ThreadsReason, string>> = {
  setting: 'set by --threads',
  small_model: 'the model is under 32 MB',
  cpu_quota: 'the quota of the control group',
  affinity: 'the CPU affinity of the process',
  cores: 'one for each core',
};

function threads({ threads: { used, auto } }: Report): string {
  const text = ({ count, reason, cpuQuota }: ThreadCount): string =>
    `${count} (${THREAD_REASONS[reason]}${cpuQuota === undefined ? '' : `: ${Number(cpuQuota.toPrecision(3))} cores`})`;
  const larger = used?.reason === 'small_model' && auto ? `; a larger model gets ${text(auto)}` : '';
  const shown = used ?? auto;
  return shown === undefined ? '' : `Threads on the CPU: ${text(shown)}${larger}`;
}

function drivers({ nvidia, vulkan }: Report): string {
  const lines: string[] = [];
  if (nvidia) {
    const { driverVersion = 'of unknown version', cudaVersion, gpus } = nvidia;
    lines.push(`NVIDIA driver ${driverVersion}${cudaVersion === undefined ? '' : `, CUDA up to ${cudaVersion}`}`);
    for (const [index, { name, totalBytes, freeBytes }] of gpus.entries()) {
      const memory =
        totalBytes === undefined ? '' : `: ${formatBytes(totalBytes)}, ${formatBytes(freeBytes ?? totalBytes)} free`;
      lines.push(`  cuda:${index}  ${name}${memory}`);
    }
  }
  for (const { name, totalBytes, software } of vulkan ?? [])
    lines.push(`Vulkan device ${name}, ${formatBytes(totalBytes)}${software ? ', software renderer' : ''}`);
  return lines.join('\n');
}

function devices({ devices: rows, model }: Report): string[] {
  const head =
    model.problem === undefined
      ? `Model ${model.name} (${model.architecture}; ${model.dtypes?.join(', ')}): ten tokens on each device, compared with the CPU`
      : `Model ${model.name}: ${model.problem}`;
  const width = Math.max(0, ...rows.map(({ device }) => device.length));
  return [[head, ...rows.map((row) => `  ${row.device.padEnd(width)}  ${stateOf(row)}`)].join('\n'), templates(model)];
}

/** The chat templates, if a request can meet a problem with them. */
function templates({ templates: all = [], default_template }: ModelRow): string {
  const lines = all.flatMap(({ name, file, problem }) =>
    problem === undefined ? [] : [`Chat template ${name} in ${file} cannot be used: ${problem}`],
  );
  if (all.length > 0 && default_template === undefined)
    lines.push(
      `No chat template is the default: requests must name one of ${all.map(({ name }) => name).join(', ')} in the field template`,
    );
  if (lines.length > 0) lines.push('Prompts with raw: true need no chat template.');
  return lines.join('\n');
}

function stateOf({ obstacle, auto_obstacle, run, dtype }: DeviceRow): string {
  if (obstacle !== undefined) return `–      ${obstacle}`;
  if (!run) return `not run${auto_obstacle === undefined ? '' : ` (${auto_obstacle})`}`;
  const { outcome, works, problem, tokens, tokens_as_cpu, open_ms = 0, tokens_per_sec = 0, vram_bytes = 0 } = run;
  if (outcome !== 'ran') return `fails  ${problem}`;
  const facts = [
    `${dtype}`,
    `open in ${(open_ms / 1000).toFixed(1)} s`,
    `${Math.round(tokens_per_sec)} tokens/s`,
    ...(vram_bytes > 0 ? [`${formatBytes(vram_bytes)} on the device`] : []),
    ...(works && tokens_as_cpu < tokens
      ? [`${tokens_as_cpu} tokens as on the CPU, then half floats round differently`]
      : []),
    ...(auto_obstacle === undefined ? [] : [auto_obstacle]),
  ];
  if (works) return `works  ${facts.join(', ')}`;
  const why = problem ?? `only the first ${tokens_as_cpu} of ${tokens} tokens are those of the CPU`;
  return `WRONG  ${why}; ${facts.join(', ')}`;
}

function verdict({ setting, used, ok, model, runtime }: Report): string {
  if (runtime.problem !== undefined || model.problem !== undefined) return 'A worker with these settings cannot start.';
  if (!used) return `--device ${setting} finds no device to use.`;
  const works = ok ? '' : ' It does not work, see above.';
  return `--device ${setting} would use ${used.device}: ${used.reason}.${works}`;
}

/** Each command is on a separate line, so that it can be copied. */
function fixes({ runtime, devices: rows }: Report): string {
  const all: [string, string | undefined, Fix | undefined][] = [
    ['the runtime', runtime.problem, runtime.fix],
    ...rows.map((row): [string, string | undefined, Fix | undefined] => [
      row.device,
      row.obstacle ?? row.run?.problem ?? row.auto_obstacle,
      row.fix,
    ]),
  ];
  return all
    .flatMap(([name, reason, fix]) =>
      fix ? [`To use ${name} (${reason}): ${fix.words}${fix.command === undefined ? '' : `\n    ${fix.command}`}`] : [],
    )
    .join('\n');
}
