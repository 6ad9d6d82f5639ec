/** The table of families: one row for each `model_type`. docs/models.md describes how to add a row. */
import type { Family } from '../family.ts';
import { GEMMA, GEMMA2, GEMMA3, GEMMA3_TEXT } from './gemma.ts';
import { GPT_OSS } from './gpt-oss.ts';
import { GRANITE } from './granite.ts';
import { LLAMA } from './llama.ts';
import { MISTRAL } from './mistral.ts';
import { OLMO2 } from './olmo2.ts';
import { PHI3 } from './phi3.ts';
import { QWEN2, QWEN3, QWEN3_MOE } from './qwen.ts';
import { SMOLLM3 } from './smollm3.ts';

export const FAMILIES: readonly Family[] = [
  LLAMA,
  MISTRAL,
  QWEN2,
  QWEN3,
  QWEN3_MOE,
  PHI3,
  GEMMA,
  GEMMA2,
  GEMMA3_TEXT,
  GEMMA3,
  GRANITE,
  SMOLLM3,
  OLMO2,
  GPT_OSS,
];

export const familyOf = (modelType: unknown): Family | undefined =>
  FAMILIES.find((family) => family.modelType === modelType);
