/**
 * Engine processes that die in a step of one request, as a fault in native code does. The request is known by
 * its seed. Nothing in the product helps: a script that Node.js loads first looks at the messages.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `slot`: when the request has got a slot, in the step that computes its prompt. */
type Fault = { readonly seed: number; readonly at: 'slot' | { readonly token: number } };

export class FaultyEngine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'faulty-'));
  /** For the worker, which passes these variables to its engines. */
  readonly env: Readonly<Record<string, string>>;

  /** Every engine dies in the step that would give the request this token, or that gives it a slot. */
  constructor({ seed, at }: Fault) {
    const script = join(this.#folder, 'faulty.cjs');
    const token = at === 'slot' ? -1 : at.token;
    writeFileSync(
      script,
      `if (process.argv[1]?.includes('engine/process.')) {
         const tokens = new Map();
         process.on('message', ({ kind, request }) => {
           if (kind === 'submit' && request.sampling.seed === ${seed})
             tokens.set(request.id, request.continued?.length ?? 0);
         });
         const die = () => { for (;;) process.kill(process.pid, 'SIGSEGV'); };
         const send = process.send;
         process.send = function (message, ...rest) {
           let isLast = false;
           for (const { id, notes, tokens: added } of message.kind === 'report' ? message.sequences : []) {
             if (!tokens.has(id)) continue;
             tokens.set(id, tokens.get(id) + added.length);
             if (${token} >= 0 && tokens.get(id) > ${token}) die();
             if (${token} < 0 && notes.some(({ note }) => note === 'started')) isLast = true;
           }
           const sent = send.call(this, message, ...rest);
           if (isLast) die();
           return sent;
         };
       }`,
    );
    this.env = { NODE_OPTIONS: `--require=${script}` };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
