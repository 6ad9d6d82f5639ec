/** The command `doctor` for the table: its help text, and its start. */
import { checkAddressSpace } from '../../config/host/address-space.ts';
import type { Command } from '../command.ts';
import { doctor } from './doctor.ts';

export const doctorCommand: Command = {
  help: () => `rbees-workerd doctor [--json] [settings]

Lists the devices of this machine, the device that a worker with these settings
would use, and the parts that are missing. Generates ten tokens on each device,
and compares them with those of the CPU.

  --json               the report as JSON
  --model <model>      folder, .gguf file or org/name[:tag]; default: embedded
  --device <device>    auto, cpu, cuda, webgpu, coreml; default: auto
  --dtype <type>       data type of the weights, such as q4; default: auto

Takes all settings of serve, and the variables of those that are not about its
address: rbees-workerd serve --help-all

Exit codes: 0 that device works; 1 it does not; 2 wrong settings.
`,
  run: async (args, { version }) => {
    checkAddressSpace();
    return doctor(args, version);
  },
};
