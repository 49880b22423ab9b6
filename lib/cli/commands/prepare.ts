import type { SaveOptions } from '../../image/index.js';
import type { PassMode, Txt2ImgRequest } from '../../pipeline/request.js';
import type { LoadModelOptions, RuntimeOptions } from '../../sdk/types.js';
import { checkRequest } from '../check-request.js';
import { collect } from '../collect.js';
import { filesIn, foldersOf } from '../find-files.js';
import { overlay, type PictureDefaults, readPictureDefaults } from '../from-picture.js';
import type { OutputSettings } from '../options/output.js';
import { checkOutput } from '../output-names.js';
import type { ParsedArgs } from '../parse.js';
import { usageError } from '../usage-error.js';
import type { CommandName } from './table.js';

/** A picture command, checked as far as that goes without a model. */
export interface PictureJob {
  readonly mode: PassMode;
  /** For img2img and inpaint with `image`, `mask` and `denoisingStrength`. */
  readonly request: Txt2ImgRequest;
  readonly model: LoadModelOptions;
  readonly runtime: RuntimeOptions;
  readonly settings: OutputSettings;
  readonly output: string;
  readonly save: SaveOptions;
  readonly picture: PictureDefaults | undefined;
}

/**
 * Makes a job of the arguments: options over the settings of the picture named by `--from`.
 * @throws DiffusionError before any work is done.
 */
export async function prepareJob(parsed: ParsedArgs, command: CommandName, signal: AbortSignal): Promise<PictureJob> {
  const settings: OutputSettings = collect(parsed, 'cli');
  const given = withPrompt(collect(parsed, 'request'), parsed.operands);
  const mode = modeOf(command, given);
  const { output = 'output.png', quality, lossless, infotext } = settings;
  await checkOutput(output);
  const model = collect(parsed, 'model');
  const find = filesIn([...(settings.modelDirs ?? []), ...foldersOf({ ...model, ...given })]);
  const picture =
    settings.from === undefined ? undefined : await readPictureDefaults(settings.from, mode, find, signal);
  const request = overlay(picture?.request ?? {}, given);
  if (request.prompt === undefined) {
    const hint = `For example: node-diffusion ${command} "a red apple"`;
    throw usageError('prompt', `${command} needs a prompt: PROMPT, --prompt TEXT or --from FILE.`, hint);
  }
  checkRequest(mode, request);
  const save = Object.fromEntries(
    Object.entries({ quality, lossless, infotext }).filter(([, value]) => value !== undefined),
  );
  return {
    mode,
    // Checked one line above, which the type cannot know.
    request: request as unknown as Txt2ImgRequest,
    model: { ...picture?.model, ...model },
    runtime: collect(parsed, 'runtime'),
    settings,
    output,
    save,
    picture,
  };
}

function withPrompt(given: Record<string, unknown>, operands: readonly string[]): Record<string, unknown> {
  const [prompt, ...more] = operands;
  if (prompt === undefined) return given;
  if (more.length > 0) {
    throw usageError('prompt', `One prompt expected, got ${String(operands.length)}: put it in quotes.`);
  }
  if (given.prompt !== undefined) throw usageError('--prompt', 'The prompt was given twice: PROMPT and --prompt.');
  return { ...given, prompt };
}

function modeOf(command: CommandName, { image, mask }: Readonly<Record<string, unknown>>): PassMode {
  if (command === 'generate') return 'txt2img';
  if (image === undefined) throw usageError('--image', 'img2img needs a start picture: --image FILE.');
  return mask === undefined ? 'img2img' : 'inpaint';
}
