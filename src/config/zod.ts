/**
 * The configuration of zod for this process. Imported for its effect, before the first check.
 */
import { z } from 'zod';

// Zod would compile a function for each schema of an object. Most schemas check one value at the start: the
// compilers took 15 ms of it. A body of /execute is checked in some 20 µs either way.
z.config({ jitless: true });
