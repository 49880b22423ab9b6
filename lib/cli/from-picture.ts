import { DiffusionError } from '../errors/index.js';
import { infotextToModel, infotextToRequest, parseInfotext, readInfotext } from '../image/index.js';
import type { PassMode } from '../pipeline/request.js';
import { isFields } from './collect.js';

type Fields = Readonly<Record<string, unknown>>;

export interface PictureDefaults {
  readonly request: Fields;
  readonly model: Fields;
  /** Name of the model that made the picture, as its infotext has it. */
  readonly modelName: string | undefined;
  readonly warnings: readonly string[];
}

/**
 * Request and model options that the infotext of a picture describes. Settings that cannot be followed become warnings.
 * @param find the file of a name: infotext has no paths.
 * @throws DiffusionError `ERR_IMAGE_INVALID` when there is no picture or no infotext in it.
 */
export async function readPictureDefaults(
  path: string,
  mode: PassMode,
  find: (name: string) => string | undefined,
  signal: AbortSignal,
): Promise<PictureDefaults> {
  const text = await readInfotext(path, { signal });
  if (text === null) {
    const hint = 'Name a picture that this program or A1111 saved.';
    const message = `Option "--from": "${path}" carries no infotext. ${hint}`;
    throw new DiffusionError('ERR_IMAGE_INVALID', message, { field: '--from', given: path, hint });
  }
  const parsed = parseInfotext(text);
  const warnings: string[] = [];
  const missing = new Set<string>();
  const looking = (name: string): string | undefined => {
    const found = find(name);
    if (found === undefined) missing.add(name);
    return found;
  };
  const request = infotextToRequest(parsed, { strict: false, mode, files: looking });
  for (const name of missing)
    warnings.push(`${path}: "${name}" was not found and is left out. Name its folder with --model-dir.`);
  try {
    // A name that is not found was told above; with any path in its place the rest is checked.
    infotextToRequest(parsed, { mode, files: (name) => find(name) ?? name });
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    warnings.push(`${path}: ${error.message} Left out.`);
  }
  const { rng, samplerRng, circular, model: modelName } = infotextToModel(parsed);
  const model = Object.entries({ rng, samplerRng, circular }).filter(([, value]) => value !== undefined);
  return { request: { ...request }, model: Object.fromEntries(model), modelName, warnings };
}

/** The picture's request with the given options in place of its own. */
export function overlay(defaults: Fields, given: Fields): Fields {
  const { sigmas, hires, refiner, ...rest } = defaults;
  // Options of the second pass and of a refiner change what they name; the rest of it stays.
  const nested = { ...merged('hires', hires, given.hires), ...merged('refiner', refiner, given.refiner) };
  // The picture's own noise levels stand for steps and schedule; whoever names one of these wants it to count.
  const replaced = sigmas === undefined || 'steps' in given || 'schedule' in given;
  return { ...rest, ...(replaced ? {} : { sigmas }), ...given, ...nested };
}

function merged(key: string, before: unknown, given: unknown): Fields {
  if (!isFields(before) && !isFields(given)) return {};
  const [old, own] = [before, given].map((value) => (isFields(value) ? value : {}));
  return { [key]: { ...old, ...own, ...(key === 'hires' ? merged('refiner', old?.refiner, own?.refiner) : {}) } };
}
