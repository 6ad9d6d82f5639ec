/**
 * Reads the devices from Vulkan, which WebGPU uses on Linux: name, memory, and software renderer or GPU.
 * Reads structures at the offsets of the 64-bit layout (vulkan_core.h).
 */
import type { VulkanDevice } from '../../protocol/probe.ts';
import { functionsOf } from '../ffi.ts';

const SUCCESS = 0;
const INSTANCE_CREATE_INFO = 1;
const CREATE_INFO_BYTES = 64;
const POINTER_BYTES = 8;
/** Capacity of the device list, larger than any machine needs. */
const MAX_DEVICES = 64;

/** VkPhysicalDeviceProperties: four numbers, deviceType, deviceName of 256 bytes, then limits. */
const PROPERTIES = { bytes: 1024, type: 16, name: 20, nameBytes: 256 };
const TYPE_CPU = 4;
/**
 * VkPhysicalDeviceMemoryProperties: a count, 32 types of 8 bytes, the count of heaps, then 16 heaps of size
 * and flags.
 */
const MEMORY = { bytes: 1024, heapCount: 4 + 32 * 8, heaps: 8 + 32 * 8, heapBytes: 16, heapFlags: 8 };
const HEAP_IS_LOCAL = 1;

/** Queries Vulkan. Never throws. @returns undefined without Vulkan; an empty list if Vulkan has no device. */
export function queryVulkan(): readonly VulkanDevice[] | undefined {
  const vulkan = functionsOf('libvulkan.so.1', {
    vkCreateInstance: ['int', 'void *', 'void *', 'void *'],
    vkDestroyInstance: ['void', 'void *', 'void *'],
    vkEnumeratePhysicalDevices: ['int', 'void *', 'void *', 'void *'],
    vkGetPhysicalDeviceProperties: ['void', 'void *', 'void *'],
    vkGetPhysicalDeviceMemoryProperties: ['void', 'void *', 'void *'],
  });
  if (!vulkan) return undefined;
  const info = Buffer.alloc(CREATE_INFO_BYTES);
  info.writeUInt32LE(INSTANCE_CREATE_INFO);
  const created = Buffer.alloc(POINTER_BYTES);
  if (vulkan.vkCreateInstance(info, null, created) !== SUCCESS) return [];
  const instance = created.readBigUInt64LE();
  try {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(MAX_DEVICES);
    const handles = Buffer.alloc(MAX_DEVICES * POINTER_BYTES);
    if (vulkan.vkEnumeratePhysicalDevices(instance, count, handles) !== SUCCESS) return [];
    return Array.from({ length: count.readUInt32LE() }, (_, index) => {
      const device = handles.readBigUInt64LE(index * POINTER_BYTES);
      const properties = Buffer.alloc(PROPERTIES.bytes);
      vulkan.vkGetPhysicalDeviceProperties(device, properties);
      const memory = Buffer.alloc(MEMORY.bytes);
      vulkan.vkGetPhysicalDeviceMemoryProperties(device, memory);
      return describe(properties, memory);
    });
  } finally {
    vulkan.vkDestroyInstance(instance, null);
  }
}

function describe(properties: Buffer, memory: Buffer): VulkanDevice {
  const name = properties.subarray(PROPERTIES.name, PROPERTIES.name + PROPERTIES.nameBytes);
  const heaps = Array.from({ length: memory.readUInt32LE(MEMORY.heapCount) }, (_, index) => {
    const at = MEMORY.heaps + index * MEMORY.heapBytes;
    const local = (memory.readUInt32LE(at + MEMORY.heapFlags) & HEAP_IS_LOCAL) !== 0;
    return local ? Number(memory.readBigUInt64LE(at)) : 0;
  });
  return {
    name: name.toString('utf8', 0, Math.max(0, name.indexOf(0))),
    totalBytes: Math.max(0, ...heaps),
    software: properties.readUInt32LE(PROPERTIES.type) === TYPE_CPU,
  };
}
