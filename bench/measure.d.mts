export function quantile(values: readonly number[], q: number): number;
export function spread(values: readonly number[], digits?: number): string;
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string;
export function wrapped(markdown: string): string;
