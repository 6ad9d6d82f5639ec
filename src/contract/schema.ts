/**
 * Helpers of the contract's schemas: registration under a name, and fields that several schemas use.
 */
import { z } from 'zod';

/** Registers a schema under its name in openapi.yaml. */
export const named = <S extends z.ZodType>(id: string, schema: S): S => schema.meta({ id });

/** A count of items, bytes or tokens: an integer from 0 up. */
export const counted = (description: string) => z.int().min(0).meta({ description });

export const WORKER_ID = z.string().meta({ description: 'Id of the worker (`--worker-id`)' });
