/**
 * A connection with small kernel buffers, on Linux: unread bytes stay with the sender. Between two ordinary
 * sockets on loopback the kernel buffers some 2.6 MB before a server notices that its client does not read.
 * Node has no option for this, so the socket is made through libc.
 */
import { Socket } from 'node:net';
import koffi from 'koffi';

const [AF_INET, SOCK_STREAM, SOL_SOCKET, SO_RCVBUF, IPPROTO_TCP, TCP_MAXSEG] = [2, 1, 1, 8, 6, 2];
/** A small segment keeps the sender's buffer small: the kernel sizes it by the segment. */
const SEGMENT_BYTES = 536;
const RECEIVE_BYTES = 4096;

/** True on systems that have such sockets. */
export const canBeNarrow = process.platform === 'linux';

/** Connects to a port of 127.0.0.1. The socket starts paused. */
export function connectNarrow(port) {
  const libc = koffi.load('libc.so.6');
  const socket = libc.func('int socket(int, int, int)');
  const setsockopt = libc.func('int setsockopt(int, int, int, const void *, uint32)');
  const connect = libc.func('int connect(int, const void *, uint32)');
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  const set = (level, name, value) => {
    const word = Buffer.alloc(4);
    word.writeInt32LE(value);
    if (setsockopt(fd, level, name, word, 4) !== 0) throw new Error(`setsockopt ${level}/${name} failed`);
  };
  set(SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
  set(IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES);
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  if (connect(fd, address, address.length) !== 0) throw new Error(`no server listens on port ${port}`);
  return new Socket({ fd, readable: true, writable: true, pauseOnCreate: true });
}

/** Posts a job on such a connection and reads nothing of its answer. */
export function postNarrow(port, body, headers = {}, path = '/execute') {
  const text = JSON.stringify(body);
  const all = {
    Host: '127.0.0.1',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connectNarrow(port);
  socket.on('error', () => undefined);
  socket.write(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n${text}`);
  return socket;
}
