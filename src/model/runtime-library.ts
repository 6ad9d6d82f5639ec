/**
 * Finds the runtime's native library in the installed onnxruntime-node package. The package's JavaScript is
 * not used.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { absolutePath } from '../config/host/folder.ts';

/** Platform and package to search. Defaults: this machine and its installed package. */
export interface LibraryTarget {
  /** Folder of the onnxruntime-node package. */
  readonly packageRoot?: string;
  readonly platform?: string;
  readonly arch?: string;
}

/** File name of the library by platform. */
const LIBRARY_NAMES: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so(\.\d+)*$/,
  darwin: /^libonnxruntime(\.\d+)*\.dylib$/,
  win32: /^onnxruntime\.dll$/,
};

/**
 * The library of the settings, otherwise that of the installed package. The path is absolute: an engine that
 * starts again may find another working directory. A bare name is for the dynamic loader.
 * @throws Error as `libraryPath`
 */
export function selectedLibrary({ runtimeLibrary }: Pick<Config, 'runtimeLibrary'>): string {
  if (runtimeLibrary === undefined) return libraryPath();
  return basename(runtimeLibrary) === runtimeLibrary
    ? runtimeLibrary
    : absolutePath(runtimeLibrary, '--runtime-library');
}

/**
 * Path of libonnxruntime in the installed onnxruntime-node package, of any version.
 * @throws Error if the package is not installed or has no library for this platform.
 */
export function libraryPath(target: LibraryTarget = {}): string {
  const { platform = process.platform, arch = process.arch } = target;
  const bin = join(target.packageRoot ?? runtimePackage(), 'bin');
  const bindings = namesIn(bin)
    .filter((name) => /^napi-v\d+$/.test(name))
    .sort((a, b) => Number(b.slice(6)) - Number(a.slice(6)));
  for (const binding of bindings) {
    const folder = join(bin, binding, platform, arch);
    // Other libraries link against the shortest name: libonnxruntime.1.dylib, libonnxruntime.so.1.
    const [name] = namesIn(folder)
      .filter((file) => LIBRARY_NAMES[platform]?.test(file))
      .sort((a, b) => a.length - b.length);
    if (name !== undefined) return join(folder, name);
  }
  throw new Error(`onnxruntime-node has no library for ${platform} ${arch}: set --runtime-library to a library.`);
}

function runtimePackage(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  } catch (cause) {
    throw new Error(
      'The package onnxruntime-node is not installed: install it, or set --runtime-library to a library.',
      { cause },
    );
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
