/**
 * Calls a listener. What it throws, or what its promise rejects with, becomes a process warning: a mistake in a
 * progress bar must not lose a picture that took minutes, and must not go unseen either.
 */
export function notify<E>(listener: ((event: E) => unknown) | undefined, event: E): void {
  if (listener === undefined) return;
  try {
    const result = listener(event);
    if (result instanceof Promise) result.catch(warn);
  } catch (error) {
    warn(error);
  }
}

function warn(error: unknown): void {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.emitWarning('A listener of a node-diffusion job threw; the job goes on.', {
    type: 'ListenerWarning',
    code: 'NODE_DIFFUSION_LISTENER',
    detail,
  });
}
