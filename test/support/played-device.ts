/** Plays WebGPU in this process on a machine without a GPU: the CPU computes, and the logits can be wrong. */
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { Session } from '../../src/engine/ort/session.ts';

/**
 * The device `webgpu` opens and computes on the CPU.
 * @param spoil changes the logits of one position; it does so in every run, so that runs agree with each other.
 * @returns ends the play.
 */
export function playWebGpu(spoil?: (logits: Float32Array) => void): () => void {
  const { obstacle, appendProvider, memoryInfo, ownMemory, rowViews, workBytes, freeBytes } = deviceNamed('cpu');
  const device = deviceNamed('webgpu');
  const real = { ...device };
  Object.assign(device, { obstacle, appendProvider, memoryInfo, ownMemory, rowViews, workBytes, freeBytes });
  const open = Session.open;
  Session.open = (api, model, on, options) => {
    const session = open.call(Session, api, model, on, options);
    return spoil && on.name === 'webgpu' ? spoiled(session, spoil) : session;
  };
  return () => {
    Object.assign(device, real);
    Session.open = open;
  };
}

function spoiled(session: Session, spoil: (logits: Float32Array) => void): Session {
  const run = session.run.bind(session);
  session.run = (work) => {
    const positions = run(work);
    const { vocabSize } = session.signature;
    for (let at = work.logitsAt; at < work.logitsAt + positions * work.rows.count; at++)
      spoil(session.logits.subarray(at * vocabSize, (at + 1) * vocabSize));
    return positions;
  };
  return session;
}
