/** The descriptions of environment variables that are no settings of the worker. */

export const HUB_VARIABLES = `Environment variables of the hub, the same as those of huggingface_hub
  HF_TOKEN                             token for gated and private models
  HF_TOKEN_PATH                        file with the token, if HF_TOKEN is not set; default: token in HF_HOME, which
                                       "hf auth login" writes
  HF_ENDPOINT                          URL of another hub; default: https://huggingface.co
  HF_HUB_CACHE, HF_HOME                folder of the cache, or its parent folder; default: ~/.cache/huggingface
  HF_HUB_OFFLINE=1                     pull uses only the cache and sends no requests
  HF_HUB_DISABLE_SYMLINKS=1            pull copies files into the snapshots of the cache instead of linking them`;

export const NETWORK_VARIABLES = `Environment variables of the network, for pull and the ready callback; in lower or upper case
  HTTPS_PROXY, HTTP_PROXY              URL of the proxy for https and for http; never used for this machine
  NO_PROXY                             hosts without a proxy: names, .domains, addresses, networks, host:port, or *
  NODE_EXTRA_CA_CERTS                  PEM file with further certificate authorities, read by Node.js`;
