/**
 * Checks of a server at an interval, which run only while the server has connections: an idle worker sleeps.
 */
import type { Server } from 'node:http';

/** Period of a check that does not run: the longest one that Node.js has. */
const NEVER_MS = 2 ** 31 - 1;

/** Node.js reads the period when its check starts. */
interface CheckedServer extends Server {
  connectionsCheckingInterval?: number;
}

/**
 * Runs `check`, and the check of Node.js for requests that have not arrived in time, every `everyMs`
 * milliseconds while the server has connections. Call before other listeners are added.
 */
export function checkWhileConnected(server: Server, everyMs: number, check: () => void): void {
  const setNodeCheck = nodeCheckOf(server, everyMs);
  let connections = 0;
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearInterval(timer);
  server.on('connection', (socket) => {
    connections += 1;
    if (connections === 1) {
      timer = setInterval(check, everyMs).unref();
      setNodeCheck(everyMs);
    }
    socket.once('close', () => {
      connections -= 1;
      if (connections > 0) return;
      stop();
      setNodeCheck(NEVER_MS);
    });
  });
  server.once('close', stop);
}

/**
 * Returns a function that sets the period of the check of Node.js, which the first listener of `listening`
 * starts. Without that listener, the check keeps its period.
 */
function nodeCheckOf(server: CheckedServer, everyMs: number): (periodMs: number) => void {
  const [start] = server.listeners('listening');
  server.connectionsCheckingInterval = start ? NEVER_MS : everyMs;
  return (periodMs) => {
    server.connectionsCheckingInterval = periodMs;
    // After the close of the server, Node.js runs no check.
    if (server.listening) start?.call(server);
  };
}
