export function withoutNpm(env?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
export function npm(args: readonly string[], options?: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv }): string;
