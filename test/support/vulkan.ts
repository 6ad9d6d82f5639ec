/**
 * Vulkan in software, with which WebGPU runs on a machine without a GPU: SwiftShader as Debian's package `chromium` brings it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const CHROMIUM = '/usr/lib/chromium';
const ICD = join(CHROMIUM, 'vk_swiftshader_icd.json');

/** The environment in which a process finds it; undefined where it is not installed. */
export const softwareVulkan: Readonly<Record<string, string>> | undefined =
  process.platform === 'linux' && existsSync(ICD) ? { VK_ICD_FILENAMES: ICD, LD_LIBRARY_PATH: CHROMIUM } : undefined;

/** What a run without it says in place of its tests. */
export const WITHOUT_VULKAN = "not run: WebGPU needs a GPU, or Debian's package chromium for Vulkan in software";
