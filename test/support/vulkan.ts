/**
 * Vulkan in software (SwiftShader, from Debian's package `chromium`): WebGPU runs on it on a machine without
 * a GPU.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const CHROMIUM = '/usr/lib/chromium';
const ICD = join(CHROMIUM, 'vk_swiftshader_icd.json');

/** The environment in which a process finds SwiftShader; undefined if it is not installed. */
export const softwareVulkan: Readonly<Record<string, string>> | undefined =
  process.platform === 'linux' && existsSync(ICD) ? { VK_ICD_FILENAMES: ICD, LD_LIBRARY_PATH: CHROMIUM } : undefined;
