// @ts-check
/**
 * `npm start` and `npm run ask`: makes the checkout ready, then runs the command line in this process, which
 * saves a start of Node.
 */
import './prepare.mjs';

// As a variable: dist/ does not exist when the types are checked first.
const cli = '../dist/cli.js';
await import(cli);
