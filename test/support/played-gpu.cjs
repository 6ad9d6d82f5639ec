/**
 * Preloaded into an engine process (`NODE_OPTIONS`): simulates a GPU on a machine without one. The probe
 * reports WebGPU, and the CPU computes. PLAYED selects the fault: `right`, `wrong` (other tokens), `refused`,
 * `crash`, `hang`, `probe-crash`.
 */
const { PLAYED = 'right' } = process.env;

if (process.argv[1]?.endsWith('process.cjs')) {
  let onGpu = false;
  const emit = process.emit.bind(process);
  process.emit = (name, message, ...rest) => {
    if (name === 'message' && message.kind === 'probe' && PLAYED === 'probe-crash')
      process.kill(process.pid, 'SIGSEGV');
    const [candidate] = (name === 'message' && message.options?.candidates) || [];
    if (candidate?.device !== 'webgpu') return emit(name, message, ...rest);
    onGpu = true;
    if (PLAYED === 'crash') process.kill(process.pid, 'SIGSEGV');
    if (PLAYED === 'hang') for (;;);
    candidate.device = PLAYED === 'refused' ? 'coreml' : 'cpu';
    return emit(name, message, ...rest);
  };
  const send = process.send.bind(process);
  process.send = (message, ...rest) => {
    if (message.kind === 'probed')
      message.probe.devices = message.probe.devices.map((device) =>
        device.name === 'webgpu' ? { name: 'webgpu' } : device,
      );
    if (message.kind === 'report' && onGpu && PLAYED === 'wrong')
      for (const { tokens } of message.sequences) for (const token of tokens) token.id = 7;
    return send(message, ...rest);
  };
}
