/** The address of a worker as a text, and the line that invites a person to its web page. */
import { isatty } from 'node:tty';
import type { Config } from '../../config/config.ts';
import { hasPage } from '../../http/operator/page.ts';
import { narrate } from '../../narration/narrate.ts';

/** Milliseconds until the invitation, so that it is the last line of a start, and not one among many. */
const INVITATION_MS = 200;

/** Hosts that stand for all addresses of the machine: no browser opens them. */
const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

/** Host and port; an IPv6 address is in brackets. */
export const addressText = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/**
 * Narrates the URL of the web page, if the worker serves it. A person at a terminal gets it on standard error
 * too: it would be one line of JSON among many.
 */
export function narratePage(config: Pick<Config, 'page' | 'host'>, port: number): void {
  if (!hasPage(config)) return;
  const host = ALL_ADDRESSES.includes(config.host) ? 'localhost' : config.host;
  const url = `http://${addressText(host, port)}/`;
  narrate('page.ready', { url });
  if (isatty(1) && isatty(2)) setTimeout(() => void invite(url), INVITATION_MS).unref();
}

async function invite(url: string): Promise<void> {
  const { Terminal } = await import('../terminal.ts');
  await Terminal.stderr().print(`\n  🐝 Open ${url} in a browser. Ctrl-C stops the worker.\n\n`);
}
