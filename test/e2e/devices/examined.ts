/** Runs `doctor --json`, also on a machine with a GPU that a test plays. */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Report } from '../../../src/commands/doctor/report.ts';
import { runCli } from '../../support/cli.ts';

export const MODELS = fileURLToPath(new URL('../../models/', import.meta.url));

export async function examined(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runCli(['doctor', '--json', ...args], { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  return { code, stdout, report, device: (name: string) => report.devices.find(({ device }) => device === name) };
}

/** A machine on which the probe reports WebGPU. */
const PLAYED = fileURLToPath(new URL('../../support/played-gpu.cjs', import.meta.url));
export const played = (how: string) => ({ NODE_OPTIONS: `--require ${PLAYED}`, PLAYED: how });
