/** Random tests are repeatable: one seed for all properties, another with FC_SEED=<number>. */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 575) });
