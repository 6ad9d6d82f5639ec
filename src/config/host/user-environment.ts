/** The environment of a program that a person starts through this one. */

/** A copy of the environment. Call it before the secrets of this process are hidden. */
export const userEnvironment = (environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => ({
  ...environment,
});
