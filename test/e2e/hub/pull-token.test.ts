/** The token that `hf auth login` stores opens gated repositories, and its place is named if it does not. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LARGE, Puller } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';

const TOKEN = 'hf_never-to-be-seen';

let hub: HubServer;
let me: Puller;
let home: string;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/gated': { files: LARGE, token: TOKEN }, 'org/open': { files: LARGE } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  hub.answer();
  me = await Puller.at(hub);
  home = await mkdtemp(join(tmpdir(), 'login-'));
});

async function login(token: string): Promise<string> {
  const file = join(home, '.cache', 'huggingface', 'token');
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, token);
  return file;
}
const environment = (more: Readonly<Record<string, string>> = {}) => ({ HF_HOME: '', HOME: home, ...more });

describe('the token of a login', () => {
  test('opens a gated repository, and is printed nowhere', async () => {
    await login(`${TOKEN}\n`);
    const { code, stdout, stderr } = await me.pull(['org/gated'], environment());
    expect([code, stderr]).toEqual([0, expect.stringContaining('Pulling org/gated')]);
    expect(stdout + stderr).not.toContain(TOKEN);
    expect(new Set(hub.seen.filter(({ host }) => host === 'cdn').map((one) => one.authorization))).toEqual(
      new Set([undefined]),
    );
  });

  test('is named by its file if it has no access', async () => {
    const file = await login('hf_of_somebody_else');
    const { code, stderr } = await me.pull(['org/gated'], environment());
    expect([code, stderr]).toEqual([1, expect.stringContaining(`; the token in ${file} has no read access.`)]);
  });

  test('does not replace a wrong one of a variable, which is named', async () => {
    await login(TOKEN);
    for (const variable of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
      const { code, stderr } = await me.pull(['org/gated'], environment({ [variable]: 'hf_wrong' }));
      expect([code, stderr]).toEqual([1, expect.stringContaining(`; ${variable} has no read access.`)]);
    }
  });

  test('that the hub calls invalid is named as such', async () => {
    const headers = { 'x-error-message': 'Invalid credentials in Authorization header' };
    hub.answer({ status: 401, headers, body: '{}' });
    const { code, stderr } = await me.pull(['org/open'], environment({ HF_TOKEN: 'hf_old' }));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/refuses HF_TOKEN \(401\), which is invalid or expired: replace/),
    ]);
  });

  test('that cannot be read costs a warning, and a pull of an open repository works', async () => {
    const file = await login('');
    await mkdir(`${file}-folder`);
    const { code, stderr } = await me.pull(['org/open'], environment({ HF_HOME: `${file}-folder` }));
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('token file')]);
    await mkdir(join(`${file}-folder`, 'token'));
    const second = await me.pull(['org/open'], environment({ HF_HOME: `${file}-folder` }));
    expect(second.code).toBe(0);
    expect(second.stderr).toMatch(
      /^The token file .*\/token is not a regular file: it is ignored\. Run "hf auth login"/,
    );
  });

  test('is not required to be usable where HF_TOKEN_PATH is wrong: exit 2', async () => {
    expect(await me.pull(['org/open'], environment({ HF_TOKEN_PATH: home }))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /HF_TOKEN_PATH: ".*" is not a regular file; name a file with a token, or unset HF_TOKEN_PATH/,
      ),
    });
  });
});
