import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_TEMPLATE, MAX_TEMPLATES, readTemplates, type TemplateFiles } from '../../src/model/template-source.ts';
import { haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

/** The files of a folder with a tokenizer_config.json and, if `own` is given, a template file. */
async function files(config: object, own?: string | Uint8Array, name = 'chat_template.jinja'): Promise<TemplateFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'template-'));
  const tokenizerConfigFile = join(folder, 'tokenizer_config.json');
  await writeFile(tokenizerConfigFile, JSON.stringify(config));
  if (own === undefined) return { folder, tokenizerConfigFile };
  const chatTemplateFile = join(folder, name);
  await writeFile(chatTemplateFile, own);
  return { folder, tokenizerConfigFile, chatTemplateFile };
}

/** A folder with further templates in files. */
async function withMore(found: TemplateFiles, more: Readonly<Record<string, string>>): Promise<TemplateFiles> {
  const folder = join(found.folder ?? '', 'additional_chat_templates');
  await mkdir(folder);
  for (const [name, text] of Object.entries(more)) await writeFile(join(folder, name), text);
  return found;
}

/** The text of each template by its name, or its reason. */
async function namedIn(found: TemplateFiles): Promise<Record<string, string | undefined>> {
  return Object.fromEntries((await readTemplates(found)).map(({ name, text, reason }) => [name, text ?? reason]));
}

const listed = (template: string): object => ({
  chat_template: [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template },
  ],
});

describe('the source of a chat template', () => {
  it('of the embedded model is tokenizer_config.json', async () => {
    expect(await readTemplates(haikuFiles)).toMatchObject([
      { name: 'default', file: 'tokenizer_config.json', text: expect.stringContaining('<|assistant|>') },
    ]);
  });

  it('is no file without a name', async () => {
    expect(await namedIn(await withMore(await files({}), { '.jinja': 'none', 'rag.jinja': 'rag' }))).toEqual({
      rag: 'rag',
    });
  });

  it('is absent for a model without a template', async () => {
    for (const config of [{ bos_token: '<s>' }, { chat_template: null }, { chat_template: [] }])
      expect(await readTemplates(await files(config))).toEqual([]);
    expect(await readTemplates({})).toEqual([]);
  });

  it.each([
    ['a list', listed('yes')],
    ['an object', { chat_template: { tool_use: 'tools', default: 'yes' } }],
  ])('is %s of templates by name, the default one first', async (_, config) => {
    expect(await readTemplates(await files(config))).toEqual([
      { name: 'default', file: 'tokenizer_config.json', text: 'yes' },
      { name: 'tool_use', file: 'tokenizer_config.json', text: 'tools' },
    ]);
  });

  it('is kept under its name in a list without a default', async () => {
    const config = { chat_template: [{ name: 'chat', template: 'x' }] };
    expect(await namedIn(await files(config))).toEqual({ chat: 'x' });
  });

  it('is the last one of several with the same name', async () => {
    const twice = [1, 2].map((n) => ({ name: 'default', template: `t${n}` }));
    expect(await namedIn(await files({ chat_template: twice }))).toEqual({ default: 't2' });
  });

  it('is the template file, if there is one, before tokenizer_config.json', async () => {
    expect(await readTemplates(await files({ chat_template: 'config' }, 'own'))).toEqual([
      { name: 'default', file: 'chat_template.jinja', text: 'own' },
    ]);
  });

  it('is read without the byte-order mark of its file', async () => {
    const marked = await namedIn(await files({}, '\ufeff{{ bos_token }}'));
    expect(marked).toEqual({ default: '{{ bos_token }}' });
    const json = '\ufeff{"chat_template": "own", "other": NaN}';
    expect(await namedIn(await files({}, json, 'chat_template.json'))).toEqual({ default: 'own' });
  });

  it('is unusable if its file is not UTF-8', async () => {
    const found = await readTemplates(await files({}, Buffer.from('é{{ bos_token }}', 'latin1')));
    const reason = 'it is not UTF-8: save it as UTF-8';
    expect(found).toEqual([{ name: 'default', file: 'chat_template.jinja', reason }]);
  });

  it.each([{ chat_template: 'own' }, { chat_template: { default: 'own' } }])('can be a JSON file: %j', async (own) => {
    const found = await readTemplates(
      await files({ chat_template: 'config' }, JSON.stringify(own), 'chat_template.json'),
    );
    expect(found).toEqual([{ name: 'default', file: 'chat_template.json', text: 'own' }]);
  });

  it('is in tokenizer_config.json if the JSON file has none', async () => {
    const empty = [{}, '{"chat_template": null}', 'chat_template.json'] as const;
    expect(await namedIn(await files({ chat_template: 'config' }, empty[1], empty[2]))).toEqual({ default: 'config' });
    expect(await namedIn(await files(...empty))).toEqual({ default: 'it lacks "chat_template"' });
  });
});

describe('the folder additional_chat_templates', () => {
  it('adds a template for each of its .jinja files', async () => {
    const found = await withMore(await files({}, 'own'), {
      'tool_use.jinja': 'tools',
      'rag.jinja': 'rag',
      'a.txt': '',
    });
    expect(await readTemplates(found)).toEqual([
      { name: 'default', file: 'chat_template.jinja', text: 'own' },
      { name: 'rag', file: 'additional_chat_templates/rag.jinja', text: 'rag' },
      { name: 'tool_use', file: 'additional_chat_templates/tool_use.jinja', text: 'tools' },
    ]);
  });

  it('takes precedence over a list', async () => {
    const found = await withMore(await files(listed('own')), { 'tool_use.jinja': 'newer' });
    expect(await namedIn(found)).toEqual({ default: 'own', tool_use: 'newer' });
  });

  it('may be a file, and a link in it must not lead out', async () => {
    const [file, link, outside] = [await files({}), await withMore(await files({}), {}), await files({}, 'secret')];
    await writeFile(join(file.folder ?? '', 'additional_chat_templates'), 'x');
    expect(await readTemplates(file)).toEqual([]);
    const path = join(link.folder ?? '', 'additional_chat_templates', 'out.jinja');
    await symlink(outside.chatTemplateFile ?? '', path);
    expect(await namedIn(link)).toEqual({ out: expect.stringMatching(/^it is a link that leads out/) });
  });

  it(`counts with the others: ${MAX_TEMPLATES} are read, and the default one is always among them`, async () => {
    const many = Array.from({ length: 40 }, (_, n) => [`a${n + 10}.jinja`, 'x'] as const);
    const found = await namedIn(await withMore(await files({}, 'own'), Object.fromEntries(many)));
    expect(Object.keys(found)).toHaveLength(MAX_TEMPLATES);
    expect(found['default']).toBe('own');
  });
});

describe('a template that cannot be used has a reason', () => {
  const limit = `at most ${MAX_TEMPLATE} characters are allowed`;

  it('for a text that is too long', async () => {
    const long = 'é'.repeat(MAX_TEMPLATE);
    expect(await namedIn(await files({}, long))).toEqual({ default: long });
    const tooLong = { default: `it has ${MAX_TEMPLATE + 1} characters; ${limit}` };
    expect(await namedIn(await files({ chat_template: `${long}x` }))).toEqual(tooLong);
    expect(await namedIn(await files({}, `${long}x`))).toEqual(tooLong);
    expect(await namedIn(await files({}, 'x'.repeat(3 * MAX_TEMPLATE + 1)))).toEqual({
      default: `it has ${3 * MAX_TEMPLATE + 1} bytes; ${limit}`,
    });
  });

  it('for a file that is not JSON, and for a field of another type', async () => {
    expect(await namedIn(await files({}, '{', 'chat_template.json'))).toEqual({
      default: 'chat_template.json is not valid JSON (ends early: line 1, column 2)',
    });
    for (const chat_template of [5, true, ['x'], [{ template: 'x' }]])
      expect(await namedIn(await files({ chat_template }))).toEqual({
        default: '"chat_template" is neither a text nor a list of templates',
      });
    const entries = [{ name: 'default', template: 'x' }, { name: 'rag' }];
    expect(await namedIn(await files({ chat_template: entries }))).toEqual({
      default: 'x',
      rag: 'the template is not a text',
    });
  });

  it('but a tokenizer_config.json that is not JSON ends the load', async () => {
    const found = await files({});
    await writeFile(found.tokenizerConfigFile ?? '', '{');
    await expect(readTemplates(found)).rejects.toThrow('tokenizer_config.json is not valid JSON');
  });
});
