import { describe, expect, it } from 'vitest';
import { locateModel } from '../../src/model/locate.ts';
import { type ModelSpec, readSpec } from '../../src/model/spec.ts';
import { NEUTRAL } from '../../src/protocol/sampling.ts';
import { CONFIG, type Files, GENAI, genaiFolder, problemsIn } from './folders.ts';

const specOf = async (files: Files = {}): Promise<ModelSpec> => readSpec(await locateModel(await genaiFolder(files)));
const withModel = (fields: object): object => ({ ...GENAI, model: { ...GENAI.model, ...fields } });
const withDecoder = (fields: object): object => withModel({ decoder: { ...GENAI.model.decoder, ...fields } });
async function problemsOf(config: unknown, files: Files = {}): Promise<string[]> {
  const located = await locateModel(await genaiFolder({ 'genai_config.json': JSON.stringify(config), ...files }));
  return problemsIn(located.folder, readSpec(located));
}

describe('a GenAI configuration alone', () => {
  it('gives the complete spec of the model', async () => {
    const { name, ...spec } = await specOf();
    expect(name).toMatch(/^model-/);
    expect(spec).toEqual({
      architecture: 'llama',
      vocabSize: 100,
      contextLength: 1024,
      eosIds: [2, 5],
      sampling: { ...NEUTRAL, temperature: 0 },
      tokenizerKind: 'bpe',
      tokens: { added: [], named: {}, eosId: undefined, differences: { count: 0, first: [], files: [] } },
      ignored: [],
      names: {
        inputIds: 'input_ids',
        attentionMask: 'attention_mask',
        pastKey: 'past_key_values.%d.key',
        pastValue: 'past_key_values.%d.value',
        logits: 'logits',
        presentKey: 'present.%d.key',
        presentValue: 'present.%d.value',
      },
    });
  });

  it('may omit names, all but one end id, and num_key_value_heads if all heads have their own cache', async () => {
    const decoder = { inputs: { position_ids: 'places' }, outputs: undefined, num_key_value_heads: undefined };
    const config = withModel({ eos_token_id: 7, decoder: { ...GENAI.model.decoder, ...decoder } });
    const spec = await specOf({ 'genai_config.json': config });
    expect([spec.names, spec.eosIds]).toEqual([{ positionIds: 'places' }, [7]]);
  });

  it.each<[object | undefined, Partial<ModelSpec['sampling']>]>([
    [undefined, { temperature: 1, topP: 1, topK: 0 }],
    [{}, { temperature: 0 }],
    [
      { do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.9, min_p: 0.1, repetition_penalty: 1.2 },
      { temperature: 0.6, topK: 20, topP: 0.9, minP: 0.1, repetitionPenalty: 1.2 },
    ],
    [
      { do_sample: true, top_k: 50, top_p: 0 },
      { temperature: 1, topK: 50, topP: 1 },
    ],
  ])('converts the search %j to the sampling defaults %j', async (search, sampling) => {
    expect((await specOf({ 'genai_config.json': { ...GENAI, search } })).sampling).toMatchObject(sampling);
  });

  it('ignores a sampling default that is out of range, and names the file', async () => {
    const { sampling, ignored } = await specOf({
      'genai_config.json': { ...GENAI, search: { top_p: 1.5, top_k: -1 } },
    });
    expect(sampling).toMatchObject({ temperature: 0, topP: 1, topK: 0 });
    expect(ignored).toEqual([
      { file: 'genai_config.json', field: 'top_p', value: '1.5', allowed: 'a number from 0 to 1' },
    ]);
  });

  it('needs no context length if --context gives one', async () => {
    const config = withModel({ context_length: undefined });
    const files = await locateModel(await genaiFolder({ 'genai_config.json': config }));
    expect((await readSpec(files, { context: 300 })).contextLength).toBe(300);
  });

  it('does not limit the context to max_length of the search', async () => {
    expect(GENAI.search.max_length).toBeLessThan((await specOf()).contextLength);
  });

  it.each([
    'vocab_size',
    'context_length',
    'type',
    'decoder.num_hidden_layers',
    'decoder.num_attention_heads',
    'decoder.head_size',
  ])('reports the missing field %s', async (field) => {
    const name = field.replace('decoder.', '');
    const config = (field === name ? withModel : withDecoder)({ [name]: undefined });
    const remedy =
      field === 'context_length' ? ': set --context to the number of tokens of prompt and output together' : '';
    expect(await problemsOf(config)).toEqual([`genai_config.json lacks "model.${field}"${remedy}`]);
  });

  it.each([
    [
      withDecoder({ inputs: { past_key_names: 'past_key' } }),
      'model.decoder.inputs.past_key_names',
      'expected exactly one %d',
    ],
    [withDecoder({ outputs: { present_value_names: '%d.%d' } }), 'model.decoder.outputs.present_value_names', 'one %d'],
    [withDecoder({ inputs: { input_ids: '' } }), 'model.decoder.inputs.input_ids', 'Too small'],
    [withModel({ vocab_size: 0 }), 'model.vocab_size', 'Too small'],
    [withModel({ eos_token_id: ['2'] }), 'model.eos_token_id', ''],
  ])('reports a wrong field by its name: %#', async (config, field, rule) => {
    expect(await problemsOf(config)).toEqual([expect.stringContaining(`genai_config.json has a wrong "${field}`)]);
    expect((await problemsOf(config))[0]).toContain(rule);
  });
});

describe('beside config.json', () => {
  const both = { 'config.json': { ...CONFIG, eos_token_id: 3 } };

  it('gives the shape and the names; the end ids are those of both files, the architecture that of config.json', async () => {
    const spec = await specOf({ ...both, 'genai_config.json': GENAI });
    expect(spec).toMatchObject({
      architecture: 'LlamaForCausalLM',
      contextLength: 1024,
      eosIds: [2, 3, 5],
      sampling: { temperature: 0 },
    });
    expect(spec.names.pastKey).toBe('past_key_values.%d.key');
  });

  it("is ignored for sampling if there is the author's generation_config.json", async () => {
    const files = { ...both, 'generation_config.json': { temperature: 0.7, eos_token_id: 6 } };
    const spec = await specOf(files);
    expect([spec.sampling.temperature, spec.sampling.topK, spec.eosIds]).toEqual([0.7, 0, [2, 3, 5, 6]]);
  });

  it('may omit fields that config.json has; a field that both lack is reported', async () => {
    const brief = { model: { decoder: { filename: 'model.onnx' } } };
    expect(await specOf({ ...both, 'genai_config.json': brief })).toMatchObject({
      vocabSize: 100,
      contextLength: 2048,
      names: {},
    });
    const { vocab_size, hidden_size, num_hidden_layers, ...rest } = CONFIG;
    expect([vocab_size, hidden_size, num_hidden_layers]).toEqual([100, 128, 2]);
    expect((await specOf({ 'config.json': rest })).vocabSize).toBe(100);
    expect(await problemsOf(brief, { 'config.json': rest })).toEqual([
      'config.json lacks "vocab_size", as does genai_config.json',
      'config.json lacks "num_hidden_layers", as does genai_config.json',
      'config.json lacks "hidden_size", as does genai_config.json',
    ]);
  });
});
