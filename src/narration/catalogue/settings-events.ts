/**
 * Sentences about settings that are not used as given. Lifecycle events: they go to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { count } from '../phrases.ts';

const WORKER = 'rbees-workerd';

/** The names of settings; their number, if the sentence has no room for the names. */
function settingsOf(names: string): string {
  return names.length <= 200 ? names : count(names.split(', ').length, 'setting');
}

export const SETTINGS_EVENTS = {
  'settings.ignored': lifecycleEvent({
    actor: WORKER,
    action: 'settings_read',
    level: 'WARN',
    when: 'the file .env of the working directory has settings that only a file of --env-file may set; they are not used',
    required: ['settings_file', 'settings'],
    target: (f) => f.settings_file,
    human: (f) => `Use --env-file .env to apply ${settingsOf(f.settings)}: worker ignored them in .env`,
    cute: () => '🧺 A note lay by the door, but it did not say from whom. Better ask the beekeeper first!',
  }),
  'settings.unknown': lifecycleEvent({
    actor: WORKER,
    action: 'settings_read',
    level: 'WARN',
    when: 'a variable of the environment, or of the file of settings, begins with RBEES_ and is no setting of the worker',
    required: ['setting', 'unknown_settings'],
    optional: ['suggestion', 'settings_file'],
    target: (f) => f.setting,
    human: (f) =>
      f.suggestion === undefined
        ? `Remove ${f.setting}, or see --help: no setting has this name`
        : `Rename ${f.setting} to ${f.suggestion}, or remove it: no setting has this name`,
    cute: () => '🔤 One letter flew off on its own. The little bee could not read that note!',
  }),
  'gpu_graph.limited': lifecycleEvent({
    actor: 'inference-engine',
    action: 'gpu_graph_choose',
    level: 'WARN',
    when: 'a GPU is used, and decodes with less than --gpu-graph asks for; the reason is the limit of the model or of the device',
    required: ['device', 'gpu_graph', 'gpu_graph_asked', 'reason'],
    optional: ['gpu_graph_detail'],
    target: (f) => f.device,
    human: (f) => `Engine decodes with --gpu-graph ${f.gpu_graph}, not ${f.gpu_graph_asked}: ${f.reason}`,
    cute: () => '🎞️ This dance cannot be filmed today. The little bee simply dances it each time!',
  }),
  'secrets.exposed': lifecycleEvent({
    actor: WORKER,
    action: 'secrets_hide',
    level: 'WARN',
    when: 'other processes of the same user can read a token of the worker in /proc, because it could not be overwritten',
    required: ['reason'],
    target: () => 'api-token',
    human: (f) => `Run the worker as a user of its own: it could not hide its secrets in /proc (${f.reason})`,
    cute: () => '🙈 The secret would not fit into the drawer. Please look after it!',
  }),
  'connections.limited': lifecycleEvent({
    actor: 'http-server',
    action: 'connection_limit',
    level: 'WARN',
    when: 'the limit of open file descriptors is too low for --max-connections: the worker accepts fewer connections, and keeps descriptors for itself',
    required: ['connections_limit', 'connections_asked', 'files_limit', 'files_needed'],
    target: (f) => count(f.connections_limit, 'connection'),
    human: (f) =>
      `Raise ulimit -n from ${f.files_limit} to ${f.files_needed} for ${count(f.connections_asked, 'connection')}; now ${f.connections_limit} fit`,
    cute: () => '🪑 There are fewer chairs than guests. The little bee keeps one for herself!',
  }),
} as const;
