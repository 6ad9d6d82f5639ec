/**
 * A fleet under load: sessions arrive at random, each sends its turns one after another, routers choose
 * workers, and workers can be lost. Discrete events, one seed, no clock and no network.
 */
import { Agenda } from './agenda.ts';
import { RunFigures } from './figures.ts';
import { FleetView } from './fleet-view.ts';
import type { Choose, Policy } from './policies.ts';
import { Random } from './random.ts';
import type { ServiceTimes } from './service.ts';
import { type Happening, type Job, newJob, SimulatedWorker, type WorkerLimits } from './simulated-worker.ts';

/** Sessions of a chat: each turn sends the whole conversation again. */
export interface Workload {
  /** New sessions per second and worker. */
  readonly sessionsPerWorker: number;
  /** Mean of the turns of a session, at least one. */
  readonly turns: number;
  /** Mean time between an answer and the next turn, in milliseconds. */
  readonly thinkMs: number;
  /** Tokens of the instructions, and means of a question and of an answer. */
  readonly instructions: number;
  readonly question: number;
  readonly answer: number;
}

export interface Loss {
  readonly at: number;
  /** Part of the workers that are lost at once. */
  readonly share: number;
  /**
   * Time until routers send no new request to a lost worker, and until they notice that its streams are
   * silent.
   */
  readonly probeMs: number;
  readonly streamMs: number;
  /** Time until another worker takes the place of a lost one. */
  readonly replacedMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly workers: number;
  readonly routers: number;
  readonly policy: Policy;
  readonly times: ServiceTimes;
  readonly limits: WorkerLimits;
  readonly workload: Workload;
  /** Requests that arrive before this time are not counted; the simulation ends after `endMs`. */
  readonly warmUpMs: number;
  readonly endMs: number;
  readonly loss?: Loss;
}

/** Workers that a router asks before it gives up a request that they refuse. */
const TRIES = 4;

interface Router {
  readonly view: FleetView;
  readonly choose: Choose;
}

interface Place {
  worker: SimulatedWorker;
  /** Counts the changes of the worker: an event of an earlier state has no effect. */
  version: number;
  isLost: boolean;
  /** Requests that were sent to a lost worker before its loss was noticed. */
  stranded: Job[];
}

export function simulate(plan: Plan): RunFigures {
  return new Simulation(plan).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #agenda = new Agenda();
  readonly #random: Random;
  readonly #record: RunFigures;
  readonly #places: Place[];
  readonly #routers: Router[];
  /** Job → its router and its worker. */
  readonly #ways = new Map<Job, { router: Router; worker: number }>();
  #sessions = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = new Random(plan.seed);
    this.#record = new RunFigures(plan.warmUpMs);
    this.#places = Array.from({ length: plan.workers }, () => this.#newPlace());
    const owners = new Map<number, number>();
    this.#routers = Array.from({ length: plan.routers }, () => {
      const phases = this.#places.map(() => this.#random.next());
      const view = new FleetView(phases, plan.policy.sampleMs);
      return { view, choose: plan.policy.create(view, this.#random, owners) };
    });
  }

  run(): RunFigures {
    this.#agenda.at(this.#pause(), (now) => this.#arrive(now));
    const { loss, endMs } = this.#plan;
    if (loss) this.#agenda.at(loss.at, (now) => this.#lose(loss, now));
    this.#agenda.runUntil(endMs);
    this.#record.finish(endMs);
    return this.#record;
  }

  #newPlace(): Place {
    const { times, limits } = this.#plan;
    return { worker: new SimulatedWorker(times, limits), version: 0, isLost: false, stranded: [] };
  }

  #pause(): number {
    const { workload, workers } = this.#plan;
    return this.#agenda.now + this.#random.exponential(1000 / (workload.sessionsPerWorker * workers));
  }

  /** A session begins. */
  #arrive(now: number): void {
    this.#agenda.at(this.#pause(), (next) => this.#arrive(next));
    this.#sessions += 1;
    this.#turn(this.#sessions, this.#plan.workload.instructions, now);
  }

  /** @param history tokens of the conversation so far */
  #turn(session: number, history: number, now: number): void {
    const { question, answer } = this.#plan.workload;
    const prompt = history + this.#random.tokens(question, 4);
    const output = this.#random.tokens(answer, 1);
    const job = newJob({ session, prompt, output, arrived: now });
    this.#record.arrived(job, now);
    this.#send(job, now);
  }

  /** Sends a job to a worker, and to others if that one refuses it. */
  #send(job: Job, now: number): void {
    const router = this.#routers[this.#random.below(this.#routers.length)] as Router;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const index = router.choose(job, now);
      if (index === undefined) break;
      const place = this.#places[index] as Place;
      if (place.isLost) {
        // The system of a silent machine answers nothing: the router waits as for a stream.
        this.#take(job, router, index);
        place.stranded.push(job);
        return;
      }
      this.#advance(index, now);
      if (place.worker.submit(job)) {
        this.#take(job, router, index);
        this.#changed(index, now);
        return;
      }
    }
    this.#record.refused(job, now);
  }

  #take(job: Job, router: Router, worker: number): void {
    this.#ways.set(job, { router, worker });
    router.view.own[worker] = (router.view.own[worker] ?? 0) + 1;
  }

  #release(job: Job): void {
    const way = this.#ways.get(job);
    if (!way) return;
    way.router.view.own[way.worker] = (way.router.view.own[way.worker] ?? 0) - 1;
    this.#ways.delete(job);
  }

  #advance(index: number, now: number): void {
    const place = this.#places[index] as Place;
    for (const happening of place.worker.advance(now)) this.#happened(happening, now);
  }

  #happened({ job, kind }: Happening, now: number): void {
    if (kind === 'token') this.#record.token(job, now);
    if (kind === 'token') return;
    this.#release(job);
    this.#record.ended(job, now);
    const { turns, thinkMs } = this.#plan.workload;
    if (this.#random.next() >= 1 - 1 / turns) return;
    const pause = this.#random.exponential(thinkMs);
    this.#agenda.at(now + pause, (at) => this.#turn(job.session, job.prompt + job.output, at));
  }

  /** The load of a worker has changed: its next change has another time. */
  #changed(index: number, now: number): void {
    const place = this.#places[index] as Place;
    for (const { view } of this.#routers) view.changed(index, now, place.worker.load);
    place.version += 1;
    const { version } = place;
    const at = place.worker.nextAt();
    if (!Number.isFinite(at)) return;
    this.#agenda.at(at, (time) => {
      if (place.version !== version || place.isLost) return;
      this.#advance(index, time);
      this.#changed(index, time);
    });
  }

  #lose(loss: Loss, now: number): void {
    const count = Math.round(loss.share * this.#places.length);
    const lost = Array.from({ length: count }, (_, index) => index);
    for (const index of lost) {
      this.#advance(index, now);
      const place = this.#places[index] as Place;
      place.isLost = true;
      place.version += 1;
      place.stranded = place.worker.lose();
      for (const job of place.stranded) this.#record.lost(job, now);
    }
    this.#agenda.at(now + loss.probeMs, () => {
      for (const { view } of this.#routers) for (const index of lost) view.remove(index);
    });
    this.#agenda.at(now + Math.max(loss.streamMs, loss.probeMs), (at) => {
      for (const index of lost) this.#goOn(this.#places[index] as Place, at);
    });
    this.#agenda.at(now + loss.replacedMs, (at) => {
      for (const index of lost) this.#replace(index, at);
    });
  }

  /** The jobs of a lost worker go on elsewhere, with the tokens that they have. */
  #goOn(place: Place, now: number): void {
    const jobs = place.stranded;
    place.stranded = [];
    for (const job of jobs) this.#release(job);
    for (const job of jobs) this.#send(job, now);
  }

  #replace(index: number, now: number): void {
    this.#goOn(this.#places[index] as Place, now);
    const fresh = this.#newPlace();
    fresh.worker.advance(now);
    this.#places[index] = fresh;
    for (const { view } of this.#routers) {
      view.changed(index, now, 0);
      view.list(index);
    }
  }
}
