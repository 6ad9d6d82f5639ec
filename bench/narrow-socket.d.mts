import type { Socket } from 'node:net';

export const canBeNarrow: boolean;
export function connectNarrow(port: number): Socket;
export function postNarrow(port: number, body: object, headers?: Record<string, string>, path?: string): Socket;
