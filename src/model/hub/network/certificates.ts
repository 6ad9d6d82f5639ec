/**
 * Sentences about certificates that Node.js does not accept. No retry helps: the next answer is the same.
 * Pure.
 */

/** No certificate authority that Node.js knows has signed the certificate: companies have their own. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
]);

/** Other codes of Node.js (tls, "X509 certificate error codes") → the remedy and the cause. */
const OTHER_CAUSES: Readonly<Record<string, readonly [remedy: string, cause: string]>> = {
  CERT_HAS_EXPIRED: ['renew it, or correct the clock of this machine', 'has expired'],
  CERT_NOT_YET_VALID: ['correct the clock of this machine', 'is not valid yet'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['use the host name of the certificate', 'is for another host name'],
  HOSTNAME_MISMATCH: ['use the host name of the certificate', 'is for another host name'],
  CERT_REVOKED: ['replace it', 'is revoked'],
  CERT_REJECTED: ['replace it', 'is rejected'],
  CERT_CHAIN_TOO_LONG: ['replace it', 'has too long a chain'],
  PATH_LENGTH_EXCEEDED: ['replace it', 'has too long a chain'],
  INVALID_PURPOSE: ['replace it', 'is not for servers'],
};

/**
 * A sentence for the code of an error of TLS, the remedy first; undefined for any other code.
 * @param server the host, and the proxy on the way to it
 */
export function certificateProblem(code: string, server: string): string | undefined {
  if (UNKNOWN_AUTHORITY.has(code))
    return `set NODE_EXTRA_CA_CERTS to the PEM file of your certificate authority: the certificate of ${server} is not trusted (${code})`;
  const [remedy, cause] = OTHER_CAUSES[code] ?? [];
  if (remedy !== undefined) return `${remedy}: the certificate of ${server} ${cause} (${code})`;
  if (/^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/.test(code))
    return `use http instead of https, or another port: ${server} does not speak TLS (${code})`;
  return undefined;
}
