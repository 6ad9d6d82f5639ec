/** Certificates for tests, and a TLS server in front of a plain one. Their key protects nothing. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { fileURLToPath } from 'node:url';

const at = (name: string): string => fileURLToPath(new URL(`tls/${name}`, import.meta.url));

/** Self-signed for hub.test, cdn.test, proxy.test, localhost and 127.0.0.1; valid for a hundred years. */
export const CERTIFICATE_FILE = at('certificate.pem');
/** Self-signed for localhost and 127.0.0.1; valid in January 2020 only. */
export const EXPIRED_FILE = at('expired.pem');

/** Key and certificate for a server. */
export function identity(certificate = CERTIFICATE_FILE): { readonly key: Buffer; readonly cert: Buffer } {
  return { key: readFileSync(at('key.pem')), cert: readFileSync(certificate) };
}

/** Decrypts connections and passes them to a port of this machine. */
export class TlsFront {
  readonly #server: Server;
  /** Connections that began, also those without a complete handshake. */
  connections = 0;

  private constructor(port: number, certificate: string) {
    this.#server = createServer(identity(certificate), (socket) => {
      const inner = connect(port, '127.0.0.1');
      inner.on('error', () => socket.destroy());
      socket.on('error', () => inner.destroy());
      socket.pipe(inner).pipe(socket);
    });
    this.#server.on('connection', () => {
      this.connections += 1;
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(port: number, certificate = CERTIFICATE_FILE, address = '127.0.0.1'): Promise<TlsFront> {
    const front = new TlsFront(port, certificate);
    front.#server.listen(0, address);
    await once(front.#server, 'listening');
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}
