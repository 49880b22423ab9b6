import type { NativeCompileEvent } from '../native/index.js';
import type { ModelEvent } from './events.js';
import { notify } from './listeners.js';
import type { PassModels } from './models.js';

/** A graph was compiled in a pass of these models: the next estimate counts it no more, and the listener hears of it. */
export function tellCompilation(
  event: NativeCompileEvent,
  models: PassModels,
  onModel: ((event: ModelEvent) => void) | undefined,
): void {
  const { component, reason, bytes, ms } = event;
  const own = { type: 'model', action: 'compile', reason, component, bytes, ms } as const;
  if (component === 'upscaler') {
    if (models.upscaler !== undefined) notify(onModel, { ...own, model: models.upscaler.presence.name });
    return;
  }
  // A ControlNet is a part of the model that samples, and is measured with it.
  const { facts, memory } = models[component === 'controlNet' ? 'diffusionModel' : component];
  memory.cache.graphs.add(event);
  notify(onModel, { ...own, model: facts.name });
}
