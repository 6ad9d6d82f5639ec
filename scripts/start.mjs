// @ts-check
/**
 * `npm start` and `npm run ask`: makes the checkout ready, then runs the command line in this process, which
 * saves a start of Node.
 */
import { isatty } from 'node:tty';
import './prepare.mjs';

// A person reads sentences. A pipe gets the lines of JSON, and so does a terminal with --log-format json.
if (isatty(1)) process.env['RBEES_LOG_FORMAT'] ||= 'pretty';

// As a variable: dist/ does not exist when the types are checked first.
const cli = '../dist/cli.js';
await import(cli);
