/** Writes a count as the pages do: 10 000. */
export const thousands = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
