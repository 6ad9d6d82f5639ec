/**
 * The checks of all settings together: contradictions, and paths without a working directory.
 */
import { isIP } from 'node:net';
import { basename } from 'node:path';
import { CPU, deviceOf } from '../protocol/devices.ts';
import type { GpuGraph } from '../protocol/loading.ts';
import { messageOf, shorten } from '../protocol/text/error-message.ts';
import { absolutePath } from './host/folder.ts';
import { ENV_FILE } from './settings-file.ts';

/** The settings that these checks compare. */
interface Compared {
  readonly host: string;
  readonly apiToken?: string | undefined;
  readonly callbackUrl?: string | undefined;
  readonly callbackToken?: string | undefined;
  readonly tokenOfFolder: boolean;
  readonly allowUnauthenticated: boolean;
}

interface ModelSettings {
  readonly device: string;
  readonly gpuGraph: GpuGraph;
}

/** Maximum characters of a host in a message: the remedy follows it. */
const MAX_HOST = 200;

/** The settings of the server that contradict each other, one sentence for each problem. */
export function contradictions(settings: Compared): string[] {
  return [...exposures(settings), ...twoCredentials(settings)];
}

/**
 * The settings of the model that contradict each other, one sentence for each problem. The name of the CPU is
 * a choice: with `--device auto`, a model that stays on the CPU is no contradiction.
 */
export function modelContradictions({ device, gpuGraph }: ModelSettings): string[] {
  if (gpuGraph === 'off' || deviceOf(device) !== CPU) return [];
  return [
    `--gpu-graph: ${gpuGraph} needs a GPU; --device cpu allows off only; set --gpu-graph off, or choose another --device`,
  ];
}

/** One request has one `Authorization` header. */
function twoCredentials({ callbackUrl, callbackToken }: Compared): string[] {
  if (callbackUrl === undefined || callbackToken === undefined) return [];
  const { username, password } = new URL(callbackUrl);
  if (username === '' && password === '') return [];
  return ['--callback-token: --callback-url already has a user and a password; remove them, or the token'];
}

function exposures({ host, apiToken, tokenOfFolder, allowUnauthenticated }: Compared): string[] {
  if (isLoopback(host) || allowUnauthenticated || (apiToken !== undefined && !tokenOfFolder)) return [];
  const file = tokenOfFolder ? `; for the token in .env of the working directory, add --${ENV_FILE.name} .env` : '';
  return [
    `--host: "${shorten(host, MAX_HOST)}" is reachable from other machines and requires --api-token; to run without a token, add --allow-unauthenticated${file}`,
  ];
}

/** A path that is no name of the hub: `./model`, `../model`, `model`. */
const ONLY_A_PATH = /^\.{1,2}(?:[\\/]|$)|^[^\\/]+$/;

/** A problem for each path that needs a working directory which has been removed. */
export function lostPaths({
  model = '',
  runtimeLibrary = '',
  weightsCache = '',
}: {
  readonly model?: string | undefined;
  readonly runtimeLibrary?: string | undefined;
  readonly weightsCache?: string | undefined;
}): string[] {
  const paths = {
    ...(ONLY_A_PATH.test(model) && { model }),
    ...(basename(runtimeLibrary) !== runtimeLibrary && { 'runtime-library': runtimeLibrary }),
    ...(weightsCache !== 'off' && weightsCache !== '' && { 'weights-cache': weightsCache }),
  };
  return Object.entries(paths).flatMap(([name, path]) => {
    try {
      absolutePath(path, `--${name}`);
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  });
}

/** True if only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
