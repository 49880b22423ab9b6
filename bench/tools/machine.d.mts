/** Types of machine.mjs for the tests, which are TypeScript. */
export function describeMachine(): Readonly<Record<string, string | number>>;
export function commits(versions: {
  readonly engine: string;
  readonly engineCommit: string;
  readonly ggml: string;
  readonly ggmlCommit: string;
}): Readonly<Record<string, string | boolean>>;
