/** The error of a model that cannot be opened. Its reason is a code, which can cross the process boundary. */

import type { DeviceName } from '../../protocol/devices.ts';
import type { Reason, Refusal } from '../../protocol/reasons.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { OrtError } from '../ort/api.ts';

export class LoadError extends Error {
  override readonly name = 'LoadError';
  readonly reason: Reason;
  /** The device that cannot be used; undefined for a fault of the model, and until the device is known. */
  readonly device: DeviceName | undefined;

  /** The message is for logs and tests: the runtime's message, or the code. */
  constructor(reason: Reason, device?: DeviceName, cause?: Error) {
    super('message' in reason ? reason.message : reason.code, { cause });
    this.reason = reason;
    this.device = device;
  }
}

/** A fault of the model, which is the same on every device. */
export class ModelFault extends Error {
  override readonly name = 'ModelFault';
}

/** `OrtErrorCode`s of a file that is not a model, a broken file or a broken graph. */
const MODEL_FAULT_CODES = [3, 7, 10];

/** True if an error is a fault of the model, also if the runtime reports it. */
export const isModelFault = (error: Error): boolean =>
  error instanceof ModelFault || (error instanceof OrtError && MODEL_FAULT_CODES.includes(error.code));

/** The reason of any error, for the worker. An error without a code becomes `runtime` with its message. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof LoadError)) return { reason: { code: 'runtime', message: messageOf(error) } };
  const { device, reason } = error;
  return device === undefined ? { reason } : { device, reason };
}
