/** A stream over HTTPS and HTTP/2, as a browser reads it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { CERTIFICATE_FILE, identity } from '../../support/tls.ts';

/** Writes the certificate and the key of the tests into one file, as proxies read them. */
export function writeIdentity(file: string): void {
  const { key, cert } = identity();
  writeFileSync(file, Buffer.concat([cert, Buffer.from('\n'), key]));
}

/** Sends a job over HTTP/2, and returns the status and the text of its stream. */
export function executeOverHttp2(url: string, body: object, headers: Readonly<Record<string, string>>) {
  const session = connect(url, { ca: readFileSync(CERTIFICATE_FILE) });
  const sent = { ':method': 'POST', ':path': '/execute', 'content-type': 'application/json', ...headers };
  return new Promise<{ readonly status: number; readonly text: string; readonly protocol: string | undefined }>(
    (resolve, reject) => {
      session.on('error', reject);
      const stream = session.request(sent);
      let [status, text] = [0, ''];
      stream
        .setEncoding('utf8')
        .on('response', (head) => {
          status = Number(head[':status']);
        })
        .on('data', (part: string) => {
          text += part;
        })
        .on('error', reject)
        .on('end', () => {
          const { alpnProtocol: protocol } = session;
          session.close(() => resolve({ status, text, protocol }));
        });
      stream.end(JSON.stringify(body));
    },
  );
}
