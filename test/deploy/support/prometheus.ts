/** Debian's Prometheus for tests: its own process, free port and temporary folder, and the expressions of the examples. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { kill, track } from '../../support/processes.ts';

export const DEPLOY = fileURLToPath(new URL('../../../deploy/', import.meta.url));

/** Runs promtool. Resolves with its exit code and its whole output. */
export function promtool(args: readonly string[], input = ''): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile('promtool', args, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

/** One series of an answer of the HTTP API. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

export interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly query: string;
}

export class Prometheus {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#process = child;
    this.#folder = folder;
  }

  /**
   * Starts Prometheus with deploy/prometheus, scrapes each second, and waits until it has scraped every target.
   * @param targets addresses for workers.json
   */
  static async start(targets: readonly string[]): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
    const example = readFileSync(join(DEPLOY, 'prometheus/prometheus.yml'), 'utf8');
    const quick = example
      .replace(/(scrape|evaluation)_interval: \d+s/g, '$1_interval: 1s')
      .replace('scrape_timeout: 5s', 'scrape_timeout: 1s');
    writeFileSync(join(folder, 'prometheus.yml'), quick);
    writeFileSync(join(folder, 'rules.yml'), readFileSync(join(DEPLOY, 'prometheus/rules.yml')));
    writeFileSync(join(folder, 'workers.json'), JSON.stringify([{ targets }]));
    const address = `127.0.0.1:${await freePort()}`;
    const flags = [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ];
    const child = track(spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'pipe'] }));
    let log = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    const server = new Prometheus(`http://${address}`, child, folder);
    try {
      await eventually(async () => {
        if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}: ${log}`);
        if ((await server.query('up == 1')).length !== targets.length) throw new Error('a target was not scraped');
      });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** The result of an instant query. @throws Error with Prometheus's message */
  async query(expression: string): Promise<readonly Sample[]> {
    const answer = await fetch(`${this.url}/api/v1/query?query=${encodeURIComponent(expression)}`);
    const body = (await answer.json()) as { status: string; error?: string; data?: { result: readonly Sample[] } };
    if (body.status !== 'success') throw new Error(`${expression}: ${body.error}`);
    return body.data?.result ?? [];
  }

  /** The alerts that it evaluates. */
  async rules(): Promise<readonly RuleState[]> {
    const answer = await fetch(`${this.url}/api/v1/rules`);
    const body = (await answer.json()) as { data: { groups: readonly { rules: readonly RuleState[] }[] } };
    return body.data.groups.flatMap(({ rules }) => rules);
  }

  /** Ends the process, and removes its folder. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit');
      await kill(this.#process);
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** An expression of an example, and the place that has it. */
export interface Expression {
  readonly place: string;
  readonly text: string;
}

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The alerts of the example. */
export function rules(): readonly Rule[] {
  const file = parse(readFileSync(join(DEPLOY, 'prometheus/rules.yml'), 'utf8')) as { groups: { rules: Rule[] }[] };
  return file.groups.flatMap((group) => group.rules);
}

/** All expressions of the rules. */
export const ruleExpressions = (): readonly Expression[] =>
  rules().map(({ alert, expr }) => ({ place: alert, text: expr }));

export interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string }[];
  /** The panels of a row that is closed at first. */
  readonly panels?: readonly Panel[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

export const dashboard = (): Dashboard =>
  JSON.parse(readFileSync(join(DEPLOY, 'grafana/rbees-workerd.json'), 'utf8')) as Dashboard;

/** The panels that show at once, and those of closed rows. */
export function panels(): { readonly open: readonly Panel[]; readonly closed: readonly Panel[] } {
  const all = dashboard().panels;
  return { open: all.filter(({ type }) => type !== 'row'), closed: all.flatMap((panel) => panel.panels ?? []) };
}

/** The expressions of panels, with the values that Grafana puts in place of its variables. */
export const expressionsOf = (some: readonly Panel[]): readonly Expression[] =>
  some.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      place: title,
      text: expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'),
    })),
  );

/** All expressions of the dashboard. */
export const dashboardExpressions = (): readonly Expression[] => expressionsOf([...panels().open, ...panels().closed]);

/** A metric that an expression reads. */
export interface Selector {
  readonly name: string;
  /** With braces; empty without matchers. */
  readonly matchers: string;
}

const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'on', 'ignoring', 'by', 'without']);
/** A name that no parenthesis follows, with its matchers. */
const SELECTOR = /([a-zA-Z_:][\w:]*)\b(?!\s*\()(\{[^}]*\})?/g;
/** The labels of a grouping. */
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;
const DURATION = /\[[^\]]*\]|\boffset\s+\w+/g;

/** The metrics that an expression reads, and the labels by which it groups. */
export function partsOf({ text }: Expression): { selectors: readonly Selector[]; labels: readonly string[] } {
  const labels = [...text.matchAll(GROUPING)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim()));
  const rest = text.replace(GROUPING, ' ').replace(DURATION, ' ');
  const selectors = [...rest.matchAll(SELECTOR)]
    .map(([, name = '', matchers = '']) => ({ name, matchers }))
    .filter(({ name }) => !WORDS.has(name) && !/^\d/.test(name));
  return { selectors, labels };
}
