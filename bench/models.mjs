/**
 * Models with random weights of the shape `smollm2-135m`, under bench/.models/: hub folders for the worker
 * and transformers.js, GGUF files for llama.cpp. The scripts in tools/ make them at first use. Their speed is
 * that of a trained model; their output is random.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHAPE = 'smollm2-135m';
/**
 * Shapes of GGUF files. Rows of 576 and 896 values are no multiples of 256, so most of their matrices have blocks of 32
 * in a `q4_k_m` file, as in the published files of these shapes. Those of `0.34 B` are Q4_K and Q6_K.
 */
export const GGUF_SHAPES = { '135 M': SHAPE, '0.34 B': 'third-billion', '0.5 B': 'half-billion' };
const MODELS = fileURLToPath(new URL('./.models/', import.meta.url));
const SCRIPTS = fileURLToPath(new URL('../tools/', import.meta.url));
/** Only Debian's Python finds Debian's packages; another Python may precede it in the path. */
const PYTHONS = ['python3', '/usr/bin/python3'];

/** Path of the weights inside the folder of a model, by the names of the hub. */
export const weightFile = (dtype) => `onnx/model${{ fp32: '', q8: '_quantized', q4: '_q4' }[dtype]}.onnx`;

/** Folder of the model: `fp32`, `q8` or `q4`. */
export const modelFolder = (dtype) => folderOf(join(MODELS, dtype), SHAPE, dtype);

/** Folder of the model with a context of 131 072 tokens. */
export const longModelFolder = (dtype) => folderOf(join(MODELS, `${dtype}-128k`), `${SHAPE}-128k`, dtype);

const folderOf = (folder, shape, dtype) =>
  made(folder, (fresh) => {
    mkdirSync(join(fresh, 'onnx'), { recursive: true });
    python('onnx_llama.py', ['--shape', shape, '--dtype', dtype, '--out', join(fresh, weightFile(dtype))]);
    python('byte_tokenizer.py', [String(configIn(fresh).vocab_size), fresh]);
  });

/** Folder of the same weights as a checkpoint in safetensors: `fp32`, `fp16` or `bf16`. */
export const checkpointFolder = (dtype) =>
  made(join(MODELS, `${dtype}-safetensors`), (fresh) => {
    python('safetensors_llama.py', [SHAPE, dtype, fresh]);
    python('byte_tokenizer.py', [String(configIn(fresh).vocab_size), fresh]);
  });

/** A checkpoint of 0.5 billion weights in bfloat16, of the shape of Qwen2.5-0.5B. */
export const largeCheckpointFolder = () =>
  made(join(MODELS, 'half-billion-safetensors'), (fresh) => {
    python('safetensors_llama.py', ['half-billion', 'bf16', fresh]);
    python('byte_tokenizer.py', [String(configIn(fresh).vocab_size), fresh]);
  });

/**
 * The weights of the ONNX file for llama.cpp: `q8` (Q8_0) or `q4` (Q4_0). All matrices have the one format, as in the
 * ONNX file.
 */
export const ggufFile = (dtype) =>
  made(join(MODELS, `${dtype}.gguf`), (fresh) => python('gguf_llama.py', [SHAPE, `${dtype}_0`, fresh, '--pure']));

/**
 * A GGUF file with the mix of formats that llama-quantize writes, for the worker and for llama.cpp: `f32`, `f16`,
 * `q4_0`, `q8_0` or `q4_k_m`. The shape is a key of `GGUF_SHAPES`.
 */
export const mixedGgufFile = (format, shape) =>
  made(join(MODELS, `${GGUF_SHAPES[shape]}-${format}.gguf`), (fresh) =>
    python('gguf_llama.py', [GGUF_SHAPES[shape], format, fresh]),
  );

/** config.json of the model. */
export const modelConfig = (dtype) => configIn(modelFolder(dtype));

/**
 * Flags of a worker with this model. Drafts are off: random weights repeat one token, so every draft would be
 * right, unlike with real text.
 */
export const workerFlags = (dtype) => ['--model', modelFolder(dtype), '--dtype', dtype, '--speculation', 'off'];

const configIn = (folder) => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));

/** Makes a missing file under a temporary name and renames it, so that no partial file has the final name. */
function made(path, make) {
  if (existsSync(path)) return path;
  process.stderr.write(`Making ${path}…\n`);
  const fresh = `${path}.part`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  make(fresh);
  renameSync(fresh, path);
  return path;
}

function python(script, args) {
  const interpreter = PYTHONS.find((name) => spawnSync(name, ['-c', 'import numpy, onnx']).status === 0);
  if (interpreter === undefined)
    throw new Error(
      `The models of the benches need Python with numpy and onnx, and neither of ${PYTHONS.join(', ')} has both. Install the Debian packages python3-numpy and python3-onnx.`,
    );
  execFileSync(interpreter, [join(SCRIPTS, script), ...args], { stdio: ['ignore', 2, 2] });
}
