/**
 * The agents that `launch` configures: by arguments and environment variables alone, so that no file of the
 * user changes. Each entry names the source of its configuration. Pure.
 */

/** The worker for an agent. */
export interface Target {
  /** Without a trailing slash and without `/v1`. */
  readonly url: string;
  readonly model: string;
  /** True if the worker demands a token. */
  readonly hasToken: boolean;
}

/** The token of the worker. Its text is in no configuration. */
export const TOKEN = { token: true } as const;
export type Value = string | typeof TOKEN;

/** Arguments and variables, in the order in which they are shown. */
export interface AgentSetup {
  readonly args: readonly string[];
  readonly variables: Readonly<Record<string, Value>>;
}

export interface Agent {
  /** The word of the command line. */
  readonly name: string;
  readonly title: string;
  /** The program. */
  readonly command: string;
  /** Installs the program. */
  readonly install: string;
  readonly setup: (target: Target) => AgentSetup;
}

/** The variable of the token, for agents that read a variable of any name. */
const TOKEN_VARIABLE = 'RBEES_API_TOKEN';
/** A key for agents that demand one; a worker without a token accepts any. */
const keyOf = ({ hasToken }: Target): Value => (hasToken ? TOKEN : 'none');
const tokenVariable = ({ hasToken }: Target): Record<string, Value> => (hasToken ? { [TOKEN_VARIABLE]: TOKEN } : {});

/** `-c key=value` of Codex, whose value is TOML. A JSON string is one. */
const codexSettings = (settings: Readonly<Record<string, string>>): string[] =>
  Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${JSON.stringify(value)}`]);

export const AGENTS: readonly Agent[] = [
  {
    // github.com/openai/codex, docs/config.md: `-c` with dotted keys, model_providers
    name: 'codex',
    title: 'Codex',
    command: 'codex',
    install: 'npm install -g @openai/codex',
    setup: (target) => ({
      args: codexSettings({
        model: target.model,
        model_provider: 'worker',
        'model_providers.worker.name': 'worker',
        'model_providers.worker.base_url': `${target.url}/v1`,
        'model_providers.worker.wire_api': 'responses',
        ...(target.hasToken && { 'model_providers.worker.env_key': TOKEN_VARIABLE }),
      }),
      variables: tokenVariable(target),
    }),
  },
  {
    // opencode.ai/docs/config: OPENCODE_CONFIG_CONTENT overrides all files; {env:NAME}
    name: 'opencode',
    title: 'opencode',
    command: 'opencode',
    install: 'npm install -g opencode-ai',
    setup: (target) => ({
      args: [],
      variables: { OPENCODE_CONFIG_CONTENT: opencodeConfig(target), ...tokenVariable(target) },
    }),
  },
  {
    // code.claude.com/docs/en/llm-gateway. ANTHROPIC_API_KEY would take precedence over the token.
    name: 'claude',
    title: 'Claude Code',
    command: 'claude',
    install: 'npm install -g @anthropic-ai/claude-code',
    setup: (target) => ({
      args: [],
      variables: {
        ANTHROPIC_BASE_URL: target.url,
        ANTHROPIC_AUTH_TOKEN: keyOf(target),
        ANTHROPIC_API_KEY: '',
        ANTHROPIC_MODEL: target.model,
        ANTHROPIC_DEFAULT_OPUS_MODEL: target.model,
        ANTHROPIC_DEFAULT_SONNET_MODEL: target.model,
        ANTHROPIC_DEFAULT_HAIKU_MODEL: target.model,
      },
    }),
  },
  {
    // aider.chat/docs/llms/openai-compat.html
    name: 'aider',
    title: 'aider',
    command: 'aider',
    install: 'python -m pip install aider-install && aider-install',
    setup: (target) => ({
      args: ['--model', `openai/${target.model}`],
      variables: { OPENAI_API_BASE: `${target.url}/v1`, OPENAI_API_KEY: keyOf(target) },
    }),
  },
  {
    // goose-docs.ai, environment variables: the host and the path are separate
    name: 'goose',
    title: 'goose',
    command: 'goose',
    install: 'see https://goose-docs.ai',
    setup: (target) => ({
      args: [],
      variables: {
        GOOSE_PROVIDER: 'openai',
        GOOSE_MODEL: target.model,
        OPENAI_HOST: target.url,
        OPENAI_BASE_PATH: 'v1/chat/completions',
        OPENAI_API_KEY: keyOf(target),
      },
    }),
  },
  {
    // qwenlm.github.io/qwen-code-docs, OpenAI authentication
    name: 'qwen',
    title: 'Qwen Code',
    command: 'qwen',
    install: 'npm install -g @qwen-code/qwen-code',
    setup: (target) => ({
      args: [],
      variables: {
        OPENAI_BASE_URL: `${target.url}/v1`,
        OPENAI_API_KEY: keyOf(target),
        OPENAI_MODEL: target.model,
      },
    }),
  },
];

/**
 * opencode replaces `{env:…}` and `{file:…}` in the text of its configuration. The name of the model is
 * foreign text: as a reference, it would send a file of the user to the worker.
 */
function opencodeConfig({ url, model, hasToken }: Target): string {
  const apiKey = hasToken ? `{env:${TOKEN_VARIABLE}}` : 'none';
  const config = JSON.stringify({
    model: `worker/${model}`,
    provider: {
      worker: {
        npm: '@ai-sdk/openai-compatible',
        name: 'worker',
        options: { baseURL: `${url}/v1`, apiKey },
        models: { [model]: { name: model } },
      },
    },
  }).replaceAll(/\{(?=(?:env|file):)/g, '\\u007b');
  return config.replace('"apiKey":"\\u007b', '"apiKey":"{');
}
