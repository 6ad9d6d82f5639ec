/** A job decodes at less than half of its best speed for two seconds: when this is told, and with which cause. */
import { describe, expect, test } from 'vitest';
import { Scene } from './scene.ts';

/** A job that has decoded at 100 tokens/s for a second. */
function fast(options = {}): Scene {
  const scene = new Scene(options);
  scene.first();
  scene.run(1000);
  return scene;
}

describe('a slow phase', () => {
  test('is told once, after two seconds, with the speed now and the best speed', () => {
    const scene = fast();
    const began = scene.now;
    scene.run(10_000, { each: 50 });
    expect(scene.phases).toHaveLength(1);
    const [phase] = scene.phases;
    expect(phase?.speed).toBeCloseTo(20, 0);
    expect(phase?.best).toBeCloseTo(100);
    expect(phase?.windowMs).toBeGreaterThanOrEqual(2000);
    expect(phase?.at).toBeGreaterThanOrEqual(began + 2000);
    expect(phase?.at).toBeLessThanOrEqual(began + 3100);
  });

  test('is told again after a recovery', () => {
    const scene = fast();
    for (let times = 0; times < 3; times += 1) {
      scene.run(4000, { each: 50 });
      scene.run(3000);
    }
    expect(scene.phases).toHaveLength(3);
  });

  test.each([
    ['of less than two seconds', (scene: Scene) => scene.run(1000, { each: 50 })],
    ['that is not below the half', (scene: Scene) => scene.run(8000, { each: 18 })],
  ])('%s is not told', (_, slow) => {
    const scene = fast();
    slow(scene);
    scene.run(4000);
    expect(scene.phases).toEqual([]);
  });

  test('needs a best speed: a job that is always slow is not told', () => {
    const scene = new Scene();
    scene.first();
    scene.run(20_000, { each: 500, others: 30 });
    expect(scene.phases).toEqual([]);
  });

  test('waits while the log sheds narrations, and covers the whole time then', () => {
    const scene = fast();
    scene.lagging = true;
    scene.run(6000, { each: 50 });
    expect(scene.phases).toEqual([]);
    scene.lagging = false;
    scene.run(1000, { each: 50 });
    expect(scene.phases).toHaveLength(1);
    expect(scene.phases[0]?.windowMs).toBeGreaterThanOrEqual(6000);
  });

  test('is told after its end, if the log shed narrations until then', () => {
    const scene = fast();
    scene.lagging = true;
    scene.run(4000, { each: 50 });
    scene.run(2000);
    scene.lagging = false;
    scene.run(1000);
    expect(scene.phases).toHaveLength(1);
    expect(scene.phases[0]?.speed).toBeCloseTo(20, 0);
  });
});

describe('the best speed', () => {
  test('does not count drafts, which end when the text changes', () => {
    const scene = new Scene();
    scene.first();
    scene.run(500);
    scene.run(3000, { tokens: 8, each: 20 });
    scene.run(8000);
    expect(scene.phases).toEqual([]);
  });

  test('does not count reports that arrive late and together', () => {
    const scene = fast();
    scene.idle(1500);
    scene.run(150, { each: 1, stepMs: 10 });
    scene.run(6000);
    expect(scene.phases).toEqual([]);
  });

  test('is that of one output: the end of the others is no slow phase', () => {
    const scene = new Scene();
    scene.first();
    scene.run(3000, { outputs: 6 });
    scene.run(6000, { outputs: 1 });
    expect(scene.phases).toEqual([]);
    scene.run(3000, { outputs: 1, each: 50 });
    expect(scene.phases[0]?.best).toBeCloseTo(100);
  });

  test('is forgotten after two minutes: a long output gets slower by itself', () => {
    const scene = fast();
    for (let each = 10; each <= 40; each += 1) scene.run(20_000, { each });
    expect(scene.phases).toEqual([]);
  });

  test('of a very slow model is measured over two seconds', () => {
    const scene = new Scene();
    scene.first();
    scene.run(10_000, { each: 500 });
    scene.run(20_000, { each: 1500 });
    expect(scene.phases).toHaveLength(1);
    expect(scene.phases[0]?.best).toBeCloseTo(2);
  });
});

describe('the cause', () => {
  test('is the neighbours, if more sequences decode in the same steps', () => {
    const scene = fast();
    scene.run(4000, { each: 45, others: 4 });
    expect(scene.phases).toMatchObject([{ cause: 'neighbours', others: 4, promptTokens: 0, pausedMs: 0 }]);
    expect(scene.phases[0]?.share).toBeCloseTo(1);
  });

  test('is not the neighbours, if they can explain a small part only', () => {
    const scene = fast();
    scene.run(4000, { each: 100, others: 1 });
    expect(scene.phases).toMatchObject([{ cause: 'unknown', share: 0 }]);
  });

  test('is a long prompt, if the steps compute prompts of others', () => {
    const scene = fast();
    scene.run(4000, { each: 50, prompt: { tokens: 64, ms: 40 } });
    const [phase] = scene.phases;
    expect(phase).toMatchObject({ cause: 'long_prompt', others: 0 });
    expect(phase?.share).toBeCloseTo(1);
    expect(phase?.promptTokens).toBe(64 * Math.floor((phase?.windowMs ?? 0) / 50));
  });

  test('is the machine, if the engine gets less processor time and tasks wait', () => {
    const scene = fast();
    scene.run(4000, { each: 50, processors: 0.2, pressure: 0.9 });
    const [phase] = scene.phases;
    expect(phase).toMatchObject({ cause: 'machine' });
    expect(phase?.pressure).toBeCloseTo(0.9, 1);
    expect(phase?.share).toBeCloseTo(1, 1);
  });

  test.each([
    ['no task waits', {}, { processors: 0.2, pressure: 0.1 }],
    ['the engine gets its processor time', {}, { processors: 1, pressure: 0.9 }],
    ['the system has no figures', { machine: false }, { processors: 0.2, pressure: 0.9 }],
  ])('is not the machine, if %s', (_, options, machine) => {
    const scene = fast(options);
    scene.run(4000, { each: 50, ...machine });
    expect(scene.phases).toMatchObject([{ cause: 'unknown', share: 0 }]);
  });

  test('is the one with the greatest factor, if there are several', () => {
    const six = fast();
    six.run(4000, { each: 120, others: 5, processors: 0.5, pressure: 0.9 });
    expect(six.phases[0]).toMatchObject({ cause: 'neighbours' });
    expect(six.phases[0]?.share).toBeCloseTo(Math.log(6) / Math.log(12), 1);
    const two = fast();
    two.run(4000, { each: 120, others: 1, processors: 1 / 6, pressure: 0.9 });
    expect(two.phases[0]).toMatchObject({ cause: 'machine' });
  });

  test('is told again, if it changes to another measured one', () => {
    const scene = fast();
    scene.run(6000, { each: 50, others: 4 });
    scene.run(6000, { each: 50, processors: 0.2, pressure: 0.9 });
    scene.run(6000, { each: 50 });
    expect(scene.phases.map(({ cause }) => cause)).toEqual(['neighbours', 'machine']);
    const [first, second] = scene.phases;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2000);
  });
});

describe('the reader', () => {
  test('is the cause of a pause, told when it reads again', async () => {
    const scene = fast();
    await scene.pause(3000);
    expect(scene.phases).toMatchObject([{ cause: 'reader', pausedMs: 3000, at: scene.now }]);
    expect(scene.phases[0]?.speed).toBeLessThan(10);
    expect(scene.phases[0]?.best).toBeCloseTo(100);
  });

  test('is the cause of a long pause, also if the job was slow before it', async () => {
    const scene = fast();
    scene.run(7000, { each: 80, processors: 0.1, pressure: 0.9 });
    await scene.pause(2500);
    expect(scene.phases.map(({ cause }) => cause)).toEqual(['machine', 'reader']);
    expect(scene.phases[1]?.windowMs).toBeLessThan(4000);
  });

  test('is the cause of many short pauses', async () => {
    const scene = fast();
    for (let times = 0; times < 12; times += 1) {
      scene.run(60);
      await scene.pause(300);
    }
    expect(scene.phases).toMatchObject([{ cause: 'reader' }]);
  });

  test('can pause a job that has decoded for a tenth of a second only', async () => {
    const scene = new Scene();
    scene.first();
    scene.run(100);
    await scene.pause(5000);
    expect(scene.phases).toMatchObject([{ cause: 'reader', pausedMs: 5000 }]);
  });

  test('is not told of a pause before the first token', async () => {
    const scene = new Scene();
    await scene.pause(5000);
    scene.first();
    scene.run(5000);
    expect(scene.phases).toEqual([]);
  });
});

test('a silence of the engine has events of its own', () => {
  const scene = fast();
  scene.silence(8000);
  scene.run(4000);
  expect(scene.phases).toEqual([]);
});

test('an interruption has events of its own', () => {
  const scene = fast();
  scene.interruption(8000);
  scene.run(4000);
  expect([scene.phases, scene.changes]).toEqual([[], []]);
});

test('the time in which no output decodes does not count', () => {
  const scene = fast();
  scene.idle(8000);
  scene.first();
  scene.run(2000);
  expect(scene.phases).toEqual([]);
});
