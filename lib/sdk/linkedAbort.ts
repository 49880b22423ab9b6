export interface LinkedAbort {
  readonly controller: AbortController;
  /** Leaves the sources, which may outlive the work. */
  readonly unlink: () => void;
}

/** A controller of its own that also aborts, with the same reason, when one of the sources does. */
export function linkAbort(sources: readonly (AbortSignal | undefined)[]): LinkedAbort {
  const controller = new AbortController();
  const links = sources.map((source) => {
    const onAbort = (): void => {
      controller.abort(source?.reason);
    };
    if (source?.aborted === true) onAbort();
    else source?.addEventListener('abort', onAbort, { once: true });
    return (): void => {
      source?.removeEventListener('abort', onAbort);
    };
  });
  return {
    controller,
    unlink: () => {
      for (const unlink of links) unlink();
    },
  };
}
