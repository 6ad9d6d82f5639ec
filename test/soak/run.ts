/**
 * The soak: runs all parts and writes docs/reliability.md.
 *
 *   npm run soak [-- --requests n] [--minutes n] [--malformed n] [--engine-kills n] [--worker-kills n]
 *                [--storms n] [--continuations n] [--seed n] [--only survival]
 *
 * `--only survival` runs the parts of test/soak/survival alone, and prints their section.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { attack } from './attack.ts';
import { type KillResult, killOnce } from './engine-kill.ts';
import { Ledger } from './ledger.ts';
import { learnTexts, live } from './life.ts';
import { load } from './load.ts';
import { page } from './page.ts';
import { type ProbeResult, probe } from './probes.ts';
import { ATTACKS, type AttackName, besiege, type SiegeResult } from './siege.ts';
import { type Survival, survivalPart } from './survival/page.ts';
import { survive } from './survival/run.ts';

const DEFAULTS = {
  requests: '100000',
  malformed: '10000',
  minutes: '2',
  'engine-kills': '200',
  'worker-kills': '20',
  storms: '3',
  continuations: '1000',
  seed: '575',
};
const KILLS = 5;
const PROBED = [0, 16, 64];
/** Clients of a wave, and the milliseconds in which they start. */
const WAVE = { clients: 60, spreadMs: 3000 };
/** One life in this many has `--on-engine-loss fail`. */
const FAILS_EVERY = 4;
const PAGE = new URL('../../docs/reliability.md', import.meta.url);

const options = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: 'string' as const }]));
const { values: given } = parseArgs({ options: { ...options, only: { type: 'string' } } });
const values: Readonly<Record<string, unknown>> = { ...DEFAULTS, ...given };
const numberOf = (name: keyof typeof DEFAULTS): number => Number(values[name]);
const seed = numberOf('seed');
const began = performance.now();
const ledger = new Ledger();

let shown = 0;
const say = (text: string): void => {
  for (const violation of ledger.violations.slice(shown)) process.stderr.write(`${violation}\n`);
  shown = ledger.violations.length;
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  process.stderr.write(
    `${minutes} min: ${text}; ${ledger.requests} requests, ${ledger.violations.length} violations\n`,
  );
};

const runSurvival = (): Promise<Survival> =>
  survive(
    {
      seed,
      engineKills: numberOf('engine-kills'),
      workerKills: numberOf('worker-kills'),
      storms: numberOf('storms'),
      continuations: numberOf('continuations'),
    },
    ledger,
    say,
  );
/** Zero if no check has failed. */
const exitCode = (): number => (ledger.violations.length === 0 ? 0 : 1);
if (values['only'] === 'survival') {
  process.stdout.write(`${survivalPart(await runSurvival(), ledger)}\n`);
  process.exit(exitCode());
}

const texts = await learnTexts();
const kills: KillResult[] = [];
while (kills.length < KILLS) kills.push(await killOnce(kills.length, ledger));
say(`killed an engine ${KILLS} times`);
const probes: ProbeResult[] = [];
for (const clients of PROBED) probes.push(await probe(clients));
say('probed under load');
const attacked = await attack(numberOf('malformed'), seed, ledger);
say(`sent ${attacked.requests} malformed requests`);
const sieges: SiegeResult[] = [];
for (const name of Object.keys(ATTACKS) as AttackName[]) {
  sieges.push(await besiege(name, seed, ledger));
  say(`attacked: ${name}`);
}
let lives = 0;
for (const end = performance.now() + numberOf('minutes') * 60_000; performance.now() < end; lives += 1) {
  await live({ ...WAVE, seed: seed + lives, kills: lives % 3, fails: lives % FAILS_EVERY === 2 }, texts, ledger);
  say(`life ${lives + 1}`);
}
const survival = await runSurvival();
const loaded = await load(numberOf('requests'), seed, texts, ledger);
say(`${loaded.requests} requests in a row`);

const minutes = (performance.now() - began) / 60_000;
const text = page({ seed, minutes, lives, ledger, load: loaded, attack: attacked, kills, probes, sieges, survival });
const usual = Object.entries(DEFAULTS).every(([name, value]) => name === 'seed' || values[name] === value);
if (usual) writeFileSync(PAGE, text);
process.stdout.write(text);
process.exit(exitCode());
