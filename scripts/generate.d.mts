/** Path from the root of the repository → text of the file. */
export declare function generated(): Readonly<Record<string, string>>;
