/**
 * The server of both peers: Fastify, a stream of server-sent events per job (`token` for each token, then
 * `end`), and the bytes of the prompt as its ids. The benches start it with an IPC channel; it exits when the
 * channel closes.
 */
import fastify from 'fastify';

/**
 * Serves `POST /execute`. `generate(ids, count, onToken)` makes `count` tokens, calls `onToken(text)` with
 * each, and queues by itself. One short warm-up run precedes the message with the address.
 */
export async function serve(generate) {
  const app = fastify();
  app.post('/execute', async (request, reply) => {
    const { prompt, max_tokens: count } = request.body;
    const ids = [...Buffer.from(prompt)];
    reply.hijack();
    reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    const emit = (type, data) => reply.raw.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
    let made = 0;
    try {
      await generate(ids, count, (text) => {
        emit('token', { t: text, i: made });
        made += 1;
      });
      emit('end', { tokens_in: ids.length, tokens_out: made });
    } catch (error) {
      emit('error', { message: String(error) });
    }
    reply.raw.end();
  });
  await generate([...Buffer.from('Once upon a time')], 8, () => undefined);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  process.on('disconnect', () => process.exit(0));
  process.send({ url });
}
