export interface LocalRegistry {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
  close(): Promise<unknown>;
}
export function startRegistry(
  packed: readonly { readonly name: string; readonly path: string; readonly version: string }[],
  /** `further`: packages of this checkout's node_modules that it serves as well, with what they need. */
  options?: { readonly further?: readonly string[] },
): Promise<LocalRegistry>;
