/** Sequences of other requests join and leave the batch of a job: when this is told, and with which numbers. */
import { expect, test } from 'vitest';
import { Scene } from './scene.ts';

function started(): Scene {
  const scene = new Scene();
  scene.first();
  return scene;
}

test('others that join are told after half a second, with the speed before and after', () => {
  const scene = started();
  scene.run(1000);
  const joined = scene.now;
  scene.run(1000, { others: 2, each: 20 });
  expect(scene.changes).toHaveLength(1);
  expect(scene.changes[0]).toMatchObject({ othersBefore: 0, others: 2, outputs: 1, windowMs: 500 });
  expect(scene.changes[0]?.before).toBeCloseTo(100);
  expect(scene.changes[0]?.after).toBeCloseTo(50);
  // A step is complete when the next one arrives.
  expect(scene.changes[0]?.at).toBe(joined + 500 + 20);
});

test('others that leave are told', () => {
  const scene = started();
  scene.run(1000, { others: 3, each: 40 });
  scene.run(1000, { others: 1, each: 20 });
  expect(scene.changes).toMatchObject([{ othersBefore: 3, others: 1 }]);
  expect(scene.changes[0]?.before).toBeCloseTo(25);
  expect(scene.changes[0]?.after).toBeCloseTo(50);
});

test('a change that reverts at once is not told', () => {
  const scene = started();
  for (let times = 0; times < 20; times += 1) {
    scene.run(300);
    scene.run(300, { others: 1 });
  }
  expect(scene.changes).toEqual([]);
});

test('changes are told at most once in two seconds: the last state, and the speed since the first change', () => {
  const scene = started();
  scene.run(1000);
  scene.run(600, { others: 1, each: 20 });
  const told = scene.changes[0]?.at ?? 0;
  scene.run(400, { others: 2, each: 20 });
  scene.run(400, { others: 3, each: 40 });
  scene.run(4000, { others: 4, each: 50 });
  expect(scene.changes).toMatchObject([
    { othersBefore: 0, others: 1 },
    { othersBefore: 1, others: 4 },
  ]);
  const [, second] = scene.changes;
  expect(second?.at).toBeGreaterThanOrEqual(told + 2000);
  expect(second?.at).toBeLessThanOrEqual(told + 2100);
  expect(second?.before).toBeCloseTo(50);
  expect(second?.after).toBeGreaterThan(20);
  expect(second?.after).toBeLessThan(50);
  expect(second?.windowMs).toBeGreaterThan(1800);
});

test('the speed before is absent if others join at the first tokens', () => {
  const scene = started();
  scene.run(20);
  scene.run(1000, { others: 1 });
  expect(scene.changes).toMatchObject([{ others: 1, before: undefined }]);
});

test('others that ran from the beginning are no change', () => {
  const scene = started();
  scene.run(5000, { others: 4 });
  expect(scene.changes).toEqual([]);
});

test('outputs of the same job are no others, and the speed is that of the whole job', () => {
  const scene = started();
  scene.run(1000, { outputs: 3 });
  scene.run(1000, { outputs: 2 });
  expect(scene.changes).toEqual([]);
  scene.run(1000, { outputs: 2, others: 2, each: 20 });
  expect(scene.changes).toMatchObject([{ others: 2, outputs: 2 }]);
  expect(scene.changes[0]?.before).toBeCloseTo(200);
  expect(scene.changes[0]?.after).toBeCloseTo(100);
});

test('a slow model is measured over four tokens', () => {
  const scene = started();
  scene.run(5000, { each: 250 });
  scene.run(1250, { others: 1, each: 300 });
  expect(scene.changes).toMatchObject([{ others: 1, windowMs: 1200 }]);
});

test('a change waits while the log sheds narrations', () => {
  const scene = started();
  scene.run(1000);
  scene.lagging = true;
  scene.run(3000, { others: 1 });
  expect(scene.changes).toEqual([]);
  scene.lagging = false;
  scene.run(20, { others: 1 });
  expect(scene.changes).toMatchObject([{ others: 1 }]);
  expect(scene.changes[0]?.windowMs).toBeGreaterThanOrEqual(3000);
});

test('the time of a pause does not count', async () => {
  const scene = started();
  scene.run(1000);
  scene.run(100, { others: 1, each: 20 });
  await scene.pause(5000);
  scene.run(1000, { others: 1, each: 20 });
  expect(scene.changes).toMatchObject([{ others: 1 }]);
  expect(scene.changes[0]?.after).toBeCloseTo(50, 0);
});
