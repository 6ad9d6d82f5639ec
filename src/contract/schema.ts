/**
 * What the schemas of the contract share: registration under a name, and fields that recur.
 */
import { z } from 'zod';

/** Registers a schema under the name it has in openapi.yaml. */
export const named = <S extends z.ZodType>(id: string, schema: S): S => schema.meta({ id });

/** A number of things, bytes or tokens. */
export const counted = (description: string) => z.int().min(0).meta({ description });

export const WORKER_ID = z.string().meta({ description: 'Identity given by the pool-manager (`--worker-id`)' });
