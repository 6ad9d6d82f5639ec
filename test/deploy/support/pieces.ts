/** The pieces in which a stream arrives at a client: one for each read of its socket. */
import { connect } from 'node:net';

export interface Arrival {
  /** Reads that brought bytes. */
  readonly pieces: number;
  /** Wall clock of the read with the first token, in ms. */
  readonly firstTokenAt: number;
  /** Time from the request to the first token, and from the first token to the last byte. */
  readonly firstTokenMs: number;
  readonly restMs: number;
  readonly text: string;
}

/** Sends a job on a connection of its own, and reads its stream to the end. */
export function arrivalOf(url: string, body: object, headers: Readonly<Record<string, string>>): Promise<Arrival> {
  const { hostname, port, host } = new URL(url);
  const json = JSON.stringify(body);
  const fields = { Host: host, Connection: 'close', 'Content-Type': 'application/json', ...headers };
  const lines = Object.entries({ ...fields, 'Content-Length': String(Buffer.byteLength(json)) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return new Promise((resolve, reject) => {
    let [text, pieces, firstTokenAt, first] = ['', 0, 0, 0];
    const begun = performance.now();
    const socket = connect(Number(port), hostname);
    socket
      .setNoDelay(true)
      .setEncoding('utf8')
      .on('data', (part: string) => {
        pieces += 1;
        text += part;
        if (first > 0 || !text.includes('event: token')) return;
        [firstTokenAt, first] = [Date.now(), performance.now()];
      })
      .on('error', reject)
      .on('close', () => {
        const end = performance.now();
        resolve({ pieces, firstTokenAt, text, firstTokenMs: first - begun, restMs: end - first });
      });
    socket.write(`POST /execute HTTP/1.1\r\n${head}\r\n${json}`);
  });
}
