/**
 * Every sentence the worker can say, and for each: who says it, when, how loud, and which typed facts ride along.
 * `human` is read by users and operators (subject, verb, object, numbers with units), `cute` by whoever wants to smile, `story` is told
 * only where two components talk. Laid out as a table by hand: one event per paragraph.
 */
import { type Entry, type Facts, life, request } from './entry.ts';
import { count, parting, size, soon, time, whole } from './phrases.ts';

const [WORKER, HTTP, ENGINE] = ['rbees-workerd', 'http-server', 'inference-engine'] as const;
const DEVICE = ['device-manager', 'device_init'] as const;

export const CATALOGUE = {
  // ── The worker's life: stdout only ──────────────────────────────────────────────────────────────────────────────────
  'worker.startup': life([WORKER, 'startup'], 'INFO', 'the settings have been read', { has: ['version', 'node_version', 'pid', 'model_ref'], may: ['token_fingerprint'] }, {
    target: (_, worker) => worker,
    human: (f) => `Worker starts: version ${f.version}, Node ${f.node_version}, process ${f.pid}, model ${f.model_ref}`,
    cute: (f) => `🐝 A little worker bee wakes up and stretches its wings for ${f.model_ref}!`,
  }),
  'server.start': life([HTTP, 'server_start'], 'INFO', 'the HTTP server is about to listen', { has: ['address'] }, {
    target: (f) => f.address,
    human: (f) => `HTTP server opens ${f.address}`,
    cute: (f) => `🚪 Unlocking the front door at ${f.address}…`,
  }),
  'server.bound': life([HTTP, 'server_bind'], 'INFO', 'the HTTP server listens; with port 0 this tells the port', { has: ['address', 'url'] }, {
    target: (f) => f.address,
    human: (f) => `HTTP server listens on ${f.address}`,
    cute: (f) => `📬 The letterbox at ${f.address} is open!`,
  }),
  'server.bind_failed': life([HTTP, 'error'], 'FATAL', 'the address cannot be listened on; the worker exits 1', { has: ['address', 'error_kind', 'reason'] }, {
    target: (f) => f.address,
    human: (f) => `HTTP server cannot listen on ${f.address}: ${f.reason}`,
    cute: (f) => `🏠 Somebody already lives at ${f.address}. No hard feelings!`,
  }),
  'device.cpu': life(DEVICE, 'INFO', 'the model is opened on the CPU next; a reason is told where a GPU was passed by', { has: ['device', 'runtime_version'], may: ['reason'] }, {
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up the CPU${f.reason === undefined ? '' : `: ${f.reason}`}`,
    cute: () => '💻 Good old CPU, always there when you need it!',
  }),
  'device.cuda': life(DEVICE, 'INFO', 'nothing is seen to stand in the way of an NVIDIA GPU, and the model is opened on it next', { has: ['device', 'runtime_version'], may: ['vram_bytes'] }, {
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `⚡ ${f.device} is warm and eager to multiply!`,
  }),
  'device.metal': life(DEVICE, 'INFO', 'nothing is seen to stand in the way of an Apple GPU, and the model is opened on it through CoreML next', { has: ['device', 'runtime_version'], may: ['vram_bytes'] }, {
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🍎 ${f.device} polishes its metal!`,
  }),
  'device.webgpu': life(DEVICE, 'INFO', 'nothing is seen to stand in the way of a GPU, and the model is opened on it through WebGPU next', { has: ['device', 'runtime_version'], may: ['vram_bytes'] }, {
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🌐 ${f.device} paints with numbers today!`,
  }),
  'model.load_started': life(['model-loader', 'model_load'], 'INFO', 'the engine begins to open the model; the reason says why these weights of those that the folder has', { has: ['model_ref', 'model_bytes', 'dtype', 'dtypes', 'device', 'reason'] }, {
    target: (f) => f.model_ref,
    human: (f) => `Model loader opens ${f.model_ref} (${size(f.model_bytes)}, ${f.dtype}: ${f.reason})`,
    cute: (f) => `📦 Carrying ${f.model_ref} out of its box, very gently…`,
  }),
  'model.loaded': life(['model-loader', 'model_load'], 'INFO', 'the model is open', { has: ['model_ref', 'architecture', 'model_bytes', 'vocab_size', 'dtype', 'context_length', 'duration_ms'] }, {
    target: (f) => f.architecture,
    human: (f) => `Model loader loaded ${size(f.model_bytes)} of ${f.dtype} weights, vocabulary ${f.vocab_size}, in ${time(f.duration_ms)}`,
    cute: (f) => `🛏️ ${f.model_ref} is tucked in and dreaming of ${f.vocab_size} little tokens!`,
  }),
  'model.problem': life(['model-loader', 'error'], 'ERROR', 'a file of the model is missing or broken, or says something wrong; one for each problem, then model.load_failed', { has: ['model_ref', 'file', 'reason'] }, {
    target: (f) => f.file,
    human: (f) => `Model file ${f.file} ${f.reason}`,
    cute: (f) => `🔍 ${f.file} needs a little help before we can play!`,
  }),
  'model.load_failed': life(['model-loader', 'error'], 'FATAL', 'the model cannot be opened; the worker exits 1', { has: ['model_ref', 'error_kind', 'reason'] }, {
    target: (f) => f.model_ref,
    human: (f) => `Model loader cannot open ${f.model_ref}: ${f.reason}`,
    cute: (f) => `🧩 ${f.model_ref} has a piece missing. We will find it together!`,
  }),
  'cache.reserved': life([ENGINE, 'cache_reserve'], 'INFO', 'the memory of the slots is reserved (a cache that grows takes it as it needs it); --slots auto takes what a quarter of the free memory holds, 16 at most, or 4 where nobody tells what is free', { has: ['slots', 'chosen_by', 'context_length', 'cache_bytes', 'cache_update'], may: ['available_bytes'] }, {
    target: (f) => count(f.slots, 'slot'),
    human: (f) => `Engine reserves ${count(f.slots, 'slot')} of ${f.context_length} tokens in ${size(f.cache_bytes)}, ${f.cache_update === 'in_place' ? 'in place' : 'growing'}${f.chosen_by === 'asked' ? ', as asked' : `; auto: ${f.available_bytes === undefined ? 'free memory unknown' : `¼ of ${size(f.available_bytes)} free`}`}`,
    cute: (f) => `🛋️ ${count(f.slots, 'comfy seat')}, cushions plumped!`,
  }),
  'warmup.done': life([ENGINE, 'warmup'], 'INFO', 'the first runs are over; --speculation auto drafts unless runs of several tokens round differently, as those of quantized weights do', { has: ['duration_ms', 'slots', 'context_length', 'memory_bytes', 'vram_bytes', 'speculation'], may: ['rounding_percent', 'trusted_tokens'] }, {
    target: (f) => count(f.slots, 'slot'),
    human: (f) => {
      const warm = `Engine warmed up in ${time(f.duration_ms)}; speculation ${f.speculation}`;
      if (f.trusted_tokens !== undefined) return `${warm}; runs over ${f.trusted_tokens} tokens are wrong here`;
      return f.rounding_percent === undefined ? warm : `${warm}: runs of several tokens round differently, by ${Number(f.rounding_percent.toPrecision(2))} %`;
    },
    cute: () => '🔥 Engine warm, mittens off!',
  }),
  'callback.attempt': life([WORKER, 'callback_ready'], 'INFO', 'the pool-manager is about to be told', { has: ['url', 'attempt', 'attempts'] }, {
    target: (f) => f.url,
    human: (f) => `Worker reports ready to the pool-manager, attempt ${f.attempt} of ${f.attempts}`,
    cute: (f) => f.attempt === 1 ? '📞 Ring, ring… pool-manager, are you there?' : `📞 Ringing again (${f.attempt})… patience is a virtue!`,
  }),
  'callback.ready': life([WORKER, 'callback_ready'], 'INFO', 'the pool-manager has answered 2xx', { has: ['url', 'attempt', 'http_status', 'duration_ms'] }, {
    target: (f) => f.url,
    human: (f) => `Pool-manager answered ${f.http_status} to the ready callback in ${Math.round(f.duration_ms)} ms`,
    cute: () => '🎉 The pool-manager waved back. We are part of the hive!',
    story: () => '"I am ready to work," said the worker. "Welcome to the hive," answered the pool-manager.',
  }),
  'callback.failed': life([WORKER, 'error'], (f) => (f.retry_after_ms === undefined ? 'FATAL' : 'WARN'), 'an attempt failed: refused, timed out or not 2xx; after the last the worker exits 1', { has: ['url', 'attempt', 'attempts', 'error_kind', 'reason'], may: ['retry_after_ms', 'http_status'] }, {
    target: (f) => f.url,
    human: (f) => `Ready callback ${f.attempt} of ${f.attempts} failed: ${f.reason}`,
    cute: (f) => f.retry_after_ms === undefined ? '🥀 Nobody picked up. The worker bows and leaves.' : '☎️ No answer yet. A short nap, then another try!',
  }),
  'device.fallback': life(['device-manager', 'device_fallback'], (f) => (f.hardware === 'present' ? 'WARN' : 'INFO'), 'a device of --device auto cannot be used and the next one is tried; WARN where such hardware is there, so that something can be done about the reason', { has: ['device', 'from_device', 'reason', 'hardware'] }, {
    target: (f) => f.device,
    human: (f) => `Device manager goes on from ${f.from_device} to ${f.device}: ${f.reason.replace(`${f.from_device} cannot be used: `, '')}`,
    cute: (f) => `🪂 Plan B: landing softly on ${f.device}!`,
  }),
  'memory.expected': life([ENGINE, 'memory_plan'], 'INFO', 'what the model will need is known and fits, before it is loaded', { has: ['device', 'needed_bytes', 'model_bytes', 'cache_bytes', 'logits_bytes', 'work_bytes', 'slots', 'context_length'], may: ['available_bytes'] }, {
    target: (f) => f.device,
    human: (f) => `Engine expects ${size(f.needed_bytes)} on ${f.device}: weights ${size(f.model_bytes)}, cache ${size(f.cache_bytes)}${f.available_bytes === undefined ? '' : `; ${size(f.available_bytes)} free`}`,
    cute: () => '🧮 Measuring the nest before moving in: it fits!',
  }),
  'model.load_progress': life(['model-loader', 'model_load'], 'INFO', 'so much of the weights has been read: none, each quarter, all', { has: ['model_ref', 'percent', 'bytes_read', 'model_bytes'] }, {
    target: (f) => f.model_ref,
    human: (f) => `Model loader has read ${f.percent} % of ${size(f.model_bytes)}`,
    cute: (f) => f.percent === 100 ? '🍯 Every last drop is in!' : `🐜 Carrying it in, crumb by crumb: ${f.percent} %`,
  }),
  'engine.lost': life([ENGINE, 'error'], 'ERROR', 'the engine process ended by itself, or said nothing for --step-timeout and was killed', { has: ['error_kind', 'reason', 'requests_running'], may: ['requests_waiting', 'exit_code', 'signal', 'stderr_tail'] }, {
    target: () => 'engine',
    human: (f) => `Engine process was lost (${f.reason}) with ${count(f.requests_running, 'request')} in flight${f.requests_waiting ? `; ${f.requests_waiting} will wait` : ''}`,
    cute: () => '💔 The engine fainted. Smelling salts are on their way!',
  }),
  'engine.restarted': life([ENGINE, 'engine_restart'], 'INFO', 'a new engine process has the model open', { has: ['duration_ms', 'restarts'] }, {
    target: () => 'engine',
    human: (f) => `Engine process is back after ${time(f.duration_ms)}, restart ${f.restarts} in ten minutes`,
    cute: () => '💪 The engine is on its feet again!',
  }),
  'engine.warning': life([ENGINE, 'warning'], 'WARN', 'the runtime wrote a line to the standard error of the engine process', { has: ['reason'] }, {
    target: () => 'engine',
    human: (f) => `Runtime says: ${f.reason}`,
    cute: () => '🔧 The engine mumbles something about bolts.',
  }),
  'connections.refused': life([HTTP, 'connection_refuse'], 'WARN', 'connections were closed because there were too many (--max-connections); told at most every 10 s', { has: ['connections', 'connections_limit'] }, {
    target: (f) => count(f.connections, 'connection'),
    human: (f) => `HTTP server closed ${count(f.connections, 'connection')} beyond the limit of ${f.connections_limit}`,
    cute: () => '🚪 The hive is full to the brim. One at a time, dears!',
  }),
  'stdout.lines_lost': life([WORKER, 'log'], 'WARN', 'nobody read standard output for so long that lines were dropped', { has: ['lines_lost'] }, {
    target: () => 'stdout',
    human: (f) => `Worker dropped ${count(f.lines_lost, 'log line')} that nobody read`,
    cute: () => '🍃 A few pages blew away while nobody was reading.',
  }),
  'worker.draining': life([WORKER, 'drain'], 'INFO', 'the worker was asked to stop and lets running requests finish', { has: ['reason', 'requests_running', 'timeout_ms'] }, {
    target: (_, worker) => worker,
    human: (f) => `Worker drains (${f.reason}): ${count(f.requests_running, 'request')} may finish within ${Math.round(f.timeout_ms / 1000)} s`,
    cute: () => '🌅 Last orders, please! Everyone may finish their cup.',
  }),
  'server.shutdown': life([HTTP, 'server_shutdown'], 'INFO', 'the last connection is closed; the process exits', { has: ['reason'], may: ['duration_ms'] }, {
    target: (f) => f.reason,
    human: (f) => `HTTP server stopped (${f.reason})`,
    cute: () => '🌙 Lights out. Good night, hive!',
  }),
  'worker.fault': life([WORKER, 'error'], 'ERROR', 'the worker met a fault of its own; it goes on', { has: ['error_kind', 'reason'] }, {
    target: (_, worker) => worker,
    human: (f) => `Worker met a fault (${f.error_kind}): ${f.reason}`,
    cute: () => '🐛 A bug among the bees. It has been written down!',
  }),
  'worker.failed': life([WORKER, 'error'], 'FATAL', 'the worker cannot go on and exits 1', { has: ['error_kind', 'reason'] }, {
    target: (_, worker) => worker,
    human: (f) => `Worker stops: ${f.reason}`,
    cute: () => '🕯️ The worker did its best and lies down now.',
  }),

  // ── One request: stdout and its own stream ──────────────────────────────────────────────────────────────────────────
  'request.invalid': request([HTTP, 'error'], 'WARN', 'the request breaks a rule', { has: ['error_kind', 'field_errors', 'fields'] }, {
    human: (f) => `Request breaks ${count(f.field_errors, 'rule')}: ${f.fields}`,
    cute: (f) => `🤔 Almost! A second look at ${f.fields} and we try again.`,
  }),
  'request.validated': request([HTTP, 'execute_request'], 'INFO', 'the request is valid and accepted', { may: ['requests_running'] }, {
    human: (_, job) => `HTTP server accepted job ${job}`,
    cute: () => '✅ Everything looks lovely. In you come!',
    story: () => '"May I?" asked the orchestrator. "Of course," said the worker and took the job.',
  }),
  'fields.ignored': request([HTTP, 'fields_ignored'], 'WARN', 'the body has fields that the worker does not know', { has: ['fields'] }, {
    human: (f) => `HTTP server ignores unknown fields: ${f.fields}`,
    cute: (f) => `🙈 No idea what ${f.fields} means, so we leave it be!`,
  }),
  'prompt.tokenized': request(['tokenizer', 'tokenize'], 'INFO', 'the prompt has become ids', { has: ['tokens_in', 'duration_ms'] }, {
    human: (f) => `Tokenizer made ${count(f.tokens_in, 'token')} of the prompt in ${f.duration_ms.toFixed(1)} ms`,
    cute: (f) => `✂️ Snip, snip: your words became ${count(f.tokens_in, 'tiny token')}!`,
  }),
  'request.queued': request([ENGINE, 'queue'], 'INFO', 'all slots are taken and the request waits', { has: ['queue_position', 'eta_ms'] }, {
    human: (f) => `Engine queues the request at position ${f.queue_position}; its turn is in ${soon(f.eta_ms)}`,
    cute: (f) => `🎟️ Number ${f.queue_position} in line. The bees hurry!`,
  }),
  'queue.moved': request([ENGINE, 'queue'], 'INFO', 'the request moved up in the queue', { has: ['queue_position', 'eta_ms'] }, {
    human: (f) => `Request moved up to queue position ${f.queue_position}; its turn is in ${soon(f.eta_ms)}`,
    cute: (f) => `👣 One step closer: number ${f.queue_position}!`,
  }),
  'inference.start': request([ENGINE, 'inference_start'], 'INFO', 'the engine takes the job on', { has: ['max_tokens', 'temperature', 'seed'] }, {
    human: (f) => `Engine takes on the job: at most ${count(f.max_tokens, 'token')}, temperature ${f.temperature}, seed ${f.seed}`,
    cute: () => '🚀 Engines on! Here comes your answer…',
    story: () => '"Will you write this for me?" asked the worker. "With joy," hummed the engine.',
  }),
  'cache.reset': request([ENGINE, 'cache_reset'], 'INFO', 'the request has a slot: what the prompt shares with its last tokens is kept, the rest cleared', { has: ['slot', 'cached_tokens', 'queue_ms'] }, {
    target: (f) => `slot-${f.slot}`,
    human: (f) => `Engine cleared slot ${f.slot}, kept ${count(f.cached_tokens, 'token')}, after ${Math.round(f.queue_ms)} ms of waiting`,
    cute: (f) => (f.cached_tokens > 0 ? `🧽 Wiped the slate, but kept ${count(f.cached_tokens, 'token')} we remember!` : '🧽 A fresh clean slate, just for you!'),
  }),
  'cache.hit': request([ENGINE, 'cache_hit'], 'INFO', 'part of the prompt need not be computed again; its last two tokens always are', { has: ['cached_tokens', 'tokens_in', 'slot'], may: ['diverged_at'] }, {
    human: (f) => `Engine reuses ${f.cached_tokens} of ${count(f.tokens_in, 'prompt token')}; ${parting(f)}`,
    cute: (f) => f.cached_tokens === 1 ? '🧠 I remember the first token!' : `🧠 I remember the first ${f.cached_tokens} tokens!`,
  }),
  'batch.joined': request([ENGINE, 'batch_join'], 'INFO', 'other requests are decoded in the same steps', { has: ['batch_size'] }, {
    human: (f) => `Request shares the engine with ${count(f.batch_size - 1, 'other request')}`,
    cute: () => '🫂 Cosy! Your request dances with others.',
  }),
  'prefill.progress': request([ENGINE, 'prefill'], 'INFO', 'a chunk of a long prompt is in the cache', { has: ['tokens_done', 'tokens_total', 'prefill_ms', 'eta_ms'] }, {
    human: (f) => `Engine read ${f.tokens_done} of ${count(f.tokens_total, 'prompt token')}; the rest takes ${soon(f.eta_ms)}`,
    cute: (f) => `📖 Reading… ${Math.round((100 * f.tokens_done) / f.tokens_total)} % of your prompt so far!`,
  }),
  'tokens.progress': request([ENGINE, 'token_generate'], 'INFO', 'another 10 tokens are out (--progress-every)', { has: ['tokens_out', 'tokens_per_sec', 'decode_time_ms', 'batch_size'] }, {
    human: (f) => `Engine generated ${count(f.tokens_out, 'token')} at ${f.tokens_per_sec.toFixed(1)} tokens/s`,
    cute: (f) => `🍯 ${count(f.tokens_out, 'drop')} of honey so far…`,
  }),
  'inference.complete': request([ENGINE, 'inference_complete'], 'INFO', 'the last token is out', { has: ['tokens_out', 'tokens_in', 'decode_time_ms', 'tokens_per_sec', 'stop_reason', 'cached_tokens'] }, {
    human: (f) => `Engine finished ${count(f.tokens_out, 'token')} in ${Math.round(f.decode_time_ms)} ms, ${f.tokens_per_sec.toFixed(1)} tokens/s (${f.stop_reason})`,
    cute: (f) => `🎉 Done! ${count(f.tokens_out, 'token')}, fresh from the hive!`,
  }),
  'time.explained': request([ENGINE, 'time_explained'], 'INFO', 'the request is over: where its time went', { has: ['duration_ms', 'queue_ms', 'prefill_ms', 'decode_time_ms'], may: ['tokens_drafted', 'tokens_accepted'] }, {
    human: (f) => {
      const unit = f.duration_ms < 100_000 ? 'ms' : 's';
      const parts = `queue ${whole(f.queue_ms, unit)}, prefill ${whole(f.prefill_ms, unit)}, decode ${whole(f.decode_time_ms, unit)} ${unit}`;
      const drafts = f.tokens_accepted ? `; ${f.tokens_accepted} of ${count(f.tokens_drafted ?? 0, 'draft')} kept` : '';
      return `Request took ${whole(f.duration_ms, unit)} ${unit}: ${parts}${drafts}`;
    },
    cute: (f) => `⏱️ ${Math.round(f.duration_ms)} ms well spent!`,
  }),
  'reader.left': request([HTTP, 'reader_left'], 'WARN', 'the last connection of the stream closed before its last event, and the job stops', { has: ['tokens_out'] }, {
    human: (f) => `Reader left after ${count(f.tokens_out, 'token')}; HTTP server stops the generation`,
    cute: () => '👋 Oh, you had to go? Come back any time!',
  }),
  'reader.detached': request([HTTP, 'reader_detached'], 'INFO', 'the last connection of the stream closed before its last event, and the job goes on (`on_disconnect`)', { has: ['timeout_ms'] }, {
    human: (f) => `Reader left; the job goes on and waits ${Math.round(f.timeout_ms / 1000)} s for somebody to come back`,
    cute: () => '🕯️ We keep working, and leave a light in the window for you!',
  }),
  'reader.returned': request([HTTP, 'reader_returned'], 'INFO', 'somebody reads the stream at /jobs/{job_id}/events', { has: ['events_replayed', 'readers'] }, {
    human: (f) => `Reader came to the stream, one of ${f.readers}; HTTP server replays ${count(f.events_replayed, 'event')}`,
    cute: (f) => (f.events_replayed > 0 ? `🤗 Welcome back! Here are the ${count(f.events_replayed, 'thing')} you missed.` : '🤗 Welcome back! You missed nothing.'),
  }),
  'reader.slow': request([HTTP, 'reader_slow'], 'WARN', 'the reader lags so far behind that narration and metrics are held back; tokens never are', { has: ['shed'] }, {
    human: (f) => `Reader is slow: HTTP server held back ${count(f.shed, 'narration')} so far`,
    cute: () => '🐌 No hurry! We whisper a little less until you catch up.',
  }),
  'reader.dropped': request([HTTP, 'reader_dropped'], 'WARN', 'a reader took nothing for too long and its connection is closed; others, or a job that goes on, do not notice', { has: ['unread_bytes', 'timeout_ms'] }, {
    human: (f) => `Reader took nothing for ${Math.round(f.timeout_ms / 1000)} s with ${size(f.unread_bytes)} unread; its connection is closed`,
    cute: () => '💤 Sleep well! The story is kept for when you wake up.',
  }),
  'generation.paused': request([HTTP, 'generation_pause'], 'INFO', 'every reader lags so far behind that the generation pauses, or nobody reads and the log is full; its slot stays', { has: ['unread_bytes'] }, {
    human: (f) => `HTTP server pauses the generation: ${size(f.unread_bytes)} are unread`,
    cute: () => '⏸️ We hold our breath until you have caught up!',
  }),
  'generation.resumed': request([HTTP, 'generation_resume'], 'INFO', 'a reader has caught up and the generation goes on', { has: ['duration_ms'] }, {
    human: (f) => `Generation goes on after a pause of ${time(f.duration_ms)}`,
    cute: () => '▶️ There you are! Where were we? Ah, yes…',
  }),
  'request.cancelled': request([ENGINE, 'cancel'], 'INFO', 'a cancelled request has given its slot back', { has: ['reason', 'duration_ms', 'tokens_discarded'] }, {
    human: (f) => `Engine freed the slot ${f.duration_ms.toFixed(1)} ms after the cancel (${f.reason}); ${count(f.tokens_discarded, 'token')} thrown away`,
    cute: () => '🛑 Stopped, tidied up, no hard feelings!',
  }),
  'cancel.unconfirmed': request([ENGINE, 'cancel'], 'WARN', 'the engine does not answer a cancel: the request ends without it, and its slot is free when the engine says so', { has: ['reason', 'duration_ms'] }, {
    human: (f) => `Engine is silent ${time(f.duration_ms)} after the cancel (${f.reason}); its slot comes back later`,
    cute: () => '🤫 The engine is lost in thought. You need not wait for it!',
  }),
  'request.draining': request([HTTP, 'drain'], 'WARN', 'the worker drains while this request runs', { has: ['timeout_ms'] }, {
    human: (f) => `Worker is stopping; this request has ${Math.round(f.timeout_ms / 1000)} s to finish`,
    cute: () => '🌅 The hive closes soon, but you may finish first!',
  }),
  'request.requeued': request([ENGINE, 'queue'], 'WARN', 'the engine process ended before the request had a slot; it waits for the next one', { has: ['reason'] }, {
    human: (f) => `Engine process was lost (${f.reason}); the request waits for the next one`,
    cute: () => '🪑 The engine fainted, but your place in the line is kept!',
  }),
  'request.engine_lost': request([ENGINE, 'error'], 'ERROR', 'the engine process ended while this request ran', { has: ['error_kind', 'reason'] }, {
    human: (f) => `Engine process was lost (${f.reason}); the request can be tried again`,
    cute: () => '💔 The engine fainted mid-sentence. Please ask again in a moment!',
  }),
  'inference.failed': request([ENGINE, 'error'], (f) => (f.error_kind === 'cancelled' ? 'INFO' : 'ERROR'), 'the request ends with an error, a cancel or a time-out', { has: ['error_kind', 'reason', 'tokens_out'] }, {
    human: (f) => `Inference ended early (${f.error_kind}) after ${count(f.tokens_out, 'token')}: ${f.reason}`,
    cute: () => '🌧️ This one did not work out. Shall we try again?',
  }),
} as const satisfies Record<string, unknown>;

export type EventName = keyof typeof CATALOGUE;

/** The typed fields an event takes. */
export type FactsOf<E extends EventName> =
  (typeof CATALOGUE)[E] extends Entry<infer Has, infer May> ? Facts<Has, May> : never;
