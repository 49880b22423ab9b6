export interface LocalRegistry {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
  close(): Promise<unknown>;
}
export function startRegistry(
  packed: readonly { readonly name: string; readonly path: string; readonly version: string }[],
): Promise<LocalRegistry>;
