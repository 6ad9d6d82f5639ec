/**
 * `npm start` and `npm run ask`: makes the checkout ready, then becomes the command line in this very process, which saves booting Node twice.
 */
import './prepare.mjs';

await import('../dist/cli.js');
