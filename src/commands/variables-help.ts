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

export const TRACE_VARIABLES = `Environment variables of OpenTelemetry, which turn on the export of traces (docs/traces.md)
  OTEL_EXPORTER_OTLP_ENDPOINT          URL of an OTLP/HTTP receiver, such as http://localhost:4318; v1/traces is added
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   URL of the receiver of traces, used as it is
  OTEL_TRACES_EXPORTER                 otlp without an endpoint: http://localhost:4318; none: traces are off
  OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
  OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_*_LIMIT, OTEL_SDK_DISABLED   as in the specification`;
