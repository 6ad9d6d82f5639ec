/** The examples for Prometheus, checked by promtool: the configuration, the alerts, and when each alert fires. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Scrape } from '../../support/scrape.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';
import { hasPrograms } from '../support/programs.ts';
import { DEPLOY, panels, promtool, rules } from '../support/prometheus.ts';

const file = (name: string): string => join(DEPLOY, 'prometheus', name);

test.each(rules())('$alert has a severity, names the worker, and leads to its section of docs/metrics.md', (rule) => {
  const { summary, description, runbook = '' } = rule.annotations;
  expect(['critical', 'warning']).toContain(rule.labels['severity']);
  expect(summary).toContain('{{ $labels.instance }}');
  expect(description?.length).toBeGreaterThan(80);
  const page = readFileSync(join(DEPLOY, '../docs/metrics.md'), 'utf8');
  expect(page).toContain(`\n### ${rule.alert}\n`);
  expect(runbook).toBe(`docs/metrics.md#${rule.alert.toLowerCase()}`);
});

test('every panel has a title of its own, a description and a unit', () => {
  const all = [...panels().open, ...panels().closed];
  expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
  const poor = all.filter(({ description, fieldConfig }) => !description?.endsWith('.') || !fieldConfig?.defaults.unit);
  expect(poor.map(({ title }) => title)).toEqual([]);
});

describe.skipIf(!hasPrograms('promtool'))('promtool', () => {
  test.each([
    ['check', 'config', file('prometheus.yml')],
    ['check', 'rules', file('rules.yml')],
    ['test', 'rules', file('rules.test.yml')],
  ])('%s %s', async (...args) => {
    const { code, output } = await promtool(args);
    expect([code, output]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });

  test('every alert has a test in which it fires, and one in which it does not', () => {
    const { tests } = parse(readFileSync(file('rules.test.yml'), 'utf8')) as {
      tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const cases = tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
    const names = (fires: boolean): string[] => [
      ...new Set(cases.filter(({ exp_alerts }) => exp_alerts.length > 0 === fires).map(({ alertname }) => alertname)),
    ];
    const alerts = rules().map(({ alert }) => alert);
    expect(names(true).toSorted()).toEqual(alerts.toSorted());
    expect(names(false).toSorted()).toEqual(alerts.toSorted());
  });

  describe('check metrics', () => {
    let worker: TestWorker;
    beforeAll(async () => {
      worker = await startWorker();
      await worker.execute({ job_id: 'a', prompt: 'The old pond', max_tokens: 8 });
    });
    afterAll(() => worker.kill());

    /** Names that the contract of version 1 fixes: they are in milliseconds. */
    const IN_MILLISECONDS = [
      'worker_inference_duration_ms',
      'worker_queue_wait_ms',
      'worker_time_per_output_token_ms',
      'worker_time_to_first_token_ms',
    ];

    test('complains about the unit of four names of version 1, and about no other metric of the worker', async () => {
      const { text } = await Scrape.of(worker);
      const own = text.split('\n').filter((line) => /^(?:# \w+ )?worker_/.test(line));
      expect(own.length).toBeGreaterThan(100);
      const { code, output } = await promtool(['check', 'metrics'], `${own.join('\n')}\n`);
      const complaint = 'metric names should not contain abbreviated units';
      expect(output.trim().split('\n')).toEqual(IN_MILLISECONDS.map((name) => `${name} ${complaint}`));
      expect(code).toBe(3);
    });

    test('can read the whole scrape, and finds in the aliases only the colon of their names', async () => {
      const { text } = await Scrape.of(worker);
      const { output } = await promtool(['check', 'metrics'], text);
      const others = output
        .trim()
        .split('\n')
        .filter((line) => !IN_MILLISECONDS.some((name) => line.startsWith(name)));
      const aliases = others.filter((line) => line.startsWith('vllm:'));
      expect(aliases.length).toBeGreaterThan(10);
      expect(aliases.filter((line) => !line.endsWith("metric names should not contain ':'"))).toEqual([]);
      // The usual names of a Node.js process, which dashboards for Node.js read.
      const ofNode = others.filter((line) => !line.startsWith('vllm:'));
      expect(ofNode.filter((line) => !/^nodejs_active_\w+_total non-counter/.test(line))).toEqual([]);
    });
  });
});
