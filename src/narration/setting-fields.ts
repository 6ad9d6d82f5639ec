/** The typed fields of narrations about settings. */
import { integer, longText, text } from './field-rows.ts';

export const SETTING_FIELDS = {
  settings_file: longText('Absolute path of the file of settings', '/srv/worker/.env', 4096),
  settings: longText('Names of settings, separated by commas; never their values', 'model, slots', 1024),
  setting: text(
    'Name of a variable that is no setting of the worker, or that is not used as given; never its value',
    'RBEES_MAX_TOKEN_CAP',
  ),
  suggestion: text('The setting with a similar name; absent if there is none', 'RBEES_MAX_TOKENS_CAP'),
  gpu_graph: text(
    'How the GPU decodes: off, eager or captured (--gpu-graph); absent in warmup.done if off',
    'captured',
  ),
  gpu_graph_asked: text('Value of --gpu-graph', 'captured'),
  gpu_graph_detail: longText(
    'Message of the runtime, or of the check of the steps, about the reason; absent if the model is the reason',
    'step over 4 rows, row 2: logits differ by 120 %',
    300,
  ),
  unknown_settings: integer('Number of such variables; at most 16 of them are reported', 1),
} as const;
