/**
 * The URL of the worker in its reports. Narrates an address that the connection decides, and an address that
 * the pool-manager cannot reach.
 */
import { isLoopback } from '../../config/network/proxy-settings.ts';
import { narrate } from '../../narration/narrate.ts';
import { type BoundAddress, isEveryAddress, reachableUrl } from './callback-address.ts';
import type { Connection } from './callback-request.ts';

/** The sources of the URL. */
export interface AddressSources {
  readonly callbackUrl: string;
  /** `--advertise-url`, which is reported as it is. */
  readonly advertiseUrl: string | undefined;
  /** The address that the server listens on. */
  readonly bound: BoundAddress;
  /** The URL with the host of `--host`. */
  readonly url: string;
  /** True if the connection leads to a proxy. */
  readonly isProxied: boolean;
}

export class ReportedAddress {
  readonly #sources: AddressSources;
  #narrated: string | undefined;
  #isWarned = false;

  constructor(sources: AddressSources) {
    this.#sources = sources;
  }

  /** The URL for a report on this connection. */
  at(connection: Connection): string {
    const { callbackUrl, advertiseUrl, bound, url, isProxied } = this.#sources;
    if (advertiseUrl !== undefined) return advertiseUrl;
    if (!isEveryAddress(bound)) return this.#checked(url, connection);
    const uri = reachableUrl(bound, connection.localAddress, { isProxied }) ?? url;
    if (uri !== this.#narrated) narrate('callback.address', { url: callbackUrl, uri });
    this.#narrated = uri;
    return this.#checked(uri, connection);
  }

  /** Warns once if only this machine can reach `uri`, and the pool-manager is on another one. */
  #checked(uri: string, { localAddress, remoteAddress }: Connection): string {
    const { callbackUrl, isProxied } = this.#sources;
    // No proxy is used for a pool-manager on this machine.
    const isHere = !isProxied && (isLoopback(remoteAddress) || remoteAddress === localAddress);
    if (isHere || this.#isWarned || !isLoopback(new URL(uri).hostname)) return uri;
    this.#isWarned = true;
    narrate('callback.unreachable', { url: callbackUrl, uri });
    return uri;
  }
}
