import { DiffusionError, invalidOption } from '../errors/index.js';
import { componentsOf, type ModelFileField, moduleRole } from '../model/index.js';
import type { NativeModelFiles } from '../native/index.js';
import type { Lender, ModelRole, OpenedSecond, PassParts, SecondRequest } from '../pipeline/index.js';

export interface SecondFiles {
  readonly files: NativeModelFiles;
  readonly parts: PassParts;
  /** The first model's parts can be read once more, so that the pass does without it. */
  readonly canStandAlone: boolean;
}

export const builtIn: PassParts = { diffusionModel: 'second', textEncoder: 'second', vae: 'second' };
const borrowed: PassParts = { diffusionModel: 'second', textEncoder: 'first', vae: 'first' };

/**
 * Files of a model beside the first, of a second pass or a refiner, and whose parts its passes work with.
 * @param first files of the first model.
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`; `ERR_MODEL_UNSUPPORTED` for a module that is none,
 *   `ERR_INVALID_OPTION` for two of one part.
 */
export async function secondFiles(
  { checkpoint, modules, within }: SecondRequest,
  first: NativeModelFiles,
  signal: AbortSignal | undefined,
): Promise<SecondFiles> {
  const main = checkpoint ?? first.diffusionModel ?? first.checkpoint ?? '';
  const inside = await componentsOf(main, `${within}checkpoint`, signal);
  const whole = inside.has('textEncoders') && (inside.has('vae') || inside.has('taesd'));
  if (modules === 'same') {
    if (whole) return { files: { checkpoint: main }, parts: borrowed, canStandAlone: false };
    // The engine makes a model whole of the first one's files; a checkpoint among them gives what it has.
    return { files: { ...first, diffusionModel: main }, parts: borrowed, canStandAlone: true };
  }
  const field: ModelFileField = inside.has('textEncoders') || inside.has('vae') ? 'checkpoint' : 'diffusionModel';
  const files: Partial<Record<ModelFileField, string>> = { [field]: main };
  for (const [index, path] of (modules === 'built-in' ? [] : modules).entries()) {
    const name = `${within}modules[${String(index)}]`;
    const role = await moduleRole(path, name, signal);
    if (role === undefined) {
      const hint = 'Name files of a VAE, a tiny autoencoder or a text encoder.';
      throw new DiffusionError('ERR_MODEL_UNSUPPORTED', `${name}: ${path} is no module of a model. ${hint}`, {
        field: name,
        given: path,
        hint,
      });
    }
    const other = files[role];
    if (other !== undefined) {
      const hint = 'Name one file for each part.';
      throw invalidOption(name, path, `another part than ${other}, which is the ${role} already`, hint);
    }
    files[role] = path;
  }
  requireParts(main, files, inside, within);
  return { files, parts: sharedParts(files, first), canStandAlone: true };
}

/** What comes from the very files that the first model has it from is in memory already. */
function sharedParts(files: Files, first: NativeModelFiles): PassParts {
  return {
    diffusionModel: 'second',
    textEncoder: shares(files, first, 'textEncoder') ? 'first' : 'second',
    vae: shares(files, first, 'vae') ? 'first' : 'second',
  };
}

/**
 * Parts that other models of the job can lend: from the very same files, which have not changed since they were loaded.
 * What a model has from such a file is its own or the first model's, so the first one that has it lends it.
 */
export function lentParts(
  files: Files,
  stamps: ReadonlyMap<string, string>,
  parts: PassParts,
  others: readonly Lender[],
): Pick<OpenedSecond, 'parts' | 'lenders'> {
  const lenders: Partial<Record<SharedPart, ModelRole>> = {};
  for (const part of ['textEncoder', 'vae'] as const) {
    if (parts[part] !== 'second') continue;
    const isSame = (path: string | undefined, of: Lender): boolean =>
      path === undefined || of.stamps.get(path) === stamps.get(path);
    const found = others.find(
      (other) => shares(files, other.files, part) && partFields[part].every((field) => isSame(files[field], other)),
    );
    if (found !== undefined) lenders[part] = found.role;
  }
  const named = (part: SharedPart): PassParts[SharedPart] => (lenders[part] === undefined ? parts[part] : 'first');
  return { parts: { ...parts, textEncoder: named('textEncoder'), vae: named('vae') }, lenders };
}

type Files = Readonly<Partial<Record<ModelFileField, string>>>;
type SharedPart = 'textEncoder' | 'vae';

const partFields = {
  textEncoder: ['clipL', 'clipG', 't5xxl', 'llm'],
  vae: ['vae', 'taesd'],
} as const satisfies Readonly<Record<SharedPart, readonly ModelFileField[]>>;

function shares(files: Files, other: Files, part: SharedPart): boolean {
  const fields: readonly ModelFileField[] = partFields[part];
  return fields.every((field) => files[field] === other[field]) && fields.some((field) => files[field] !== undefined);
}

/** Says what a checkpoint lacks, and what would serve. */
function requireParts(
  main: string,
  files: Readonly<Partial<Record<ModelFileField, string>>>,
  inside: ReadonlySet<string>,
  within: SecondRequest['within'],
): void {
  const has = (...fields: ModelFileField[]): boolean => fields.some((field) => files[field] !== undefined);
  const missing: string[] = [];
  if (!inside.has('textEncoders') && !has('clipL', 'clipG', 't5xxl', 'llm')) missing.push('text encoder');
  if (!inside.has('vae') && !inside.has('taesd') && !has('vae', 'taesd')) missing.push('VAE');
  if (missing.length === 0) return;
  const what = missing.join(' and no ');
  const hint = `Name files of it in modules: [paths], or use modules: 'same' to keep those of the first model.`;
  const kind = within === 'hires.' ? 'hires checkpoint' : 'refiner';
  throw new DiffusionError('ERR_MODEL_UNSUPPORTED', `The ${kind} ${main} has no ${what}. ${hint}`, {
    field: `${within}checkpoint`,
    given: main,
    hint,
  });
}
