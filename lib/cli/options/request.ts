import { samplers, schedules, stepCacheModes } from '../../options/index.js';
import { type OptionDef, optionsOf } from './define.js';
import {
  readChoice,
  readInteger,
  readIntegers,
  readNumber,
  readNumbers,
  readSampler,
  readSchedule,
  readSize,
  readText,
  readTileSize,
} from './readers.js';

const { flag, value } = optionsOf({ target: 'request', group: 'Picture' });
const cacheModes = stepCacheModes.filter((mode) => mode !== 'none');

/** Options of every picture request. */
export const requestOptions: readonly OptionDef[] = [
  value('prompt', 'prompt', 'TEXT', readText, 'What the picture shows, in place of PROMPT', { short: 'p' }),
  value('negative', 'negativePrompt', 'TEXT', readText, 'What it must not show', { short: 'n' }),
  value('size', '', 'N|WxH', readSize, 'Width and height in pixels (default: by model; embedded 128)'),
  value('width', 'width', 'N', readInteger, 'Width in pixels, a multiple of 64 for most models', { short: 'W' }),
  value('height', 'height', 'N', readInteger, 'Height in pixels, as the width', { short: 'H' }),
  value('steps', 'steps', 'N', readInteger, 'Denoising steps, 1..1000 (default: by model, mostly 20)'),
  value(
    'cfg-scale',
    'cfgScale',
    'X',
    readNumber,
    'Classifier-free guidance, 0..100; 1 turns it off (default: by model)',
  ),
  value(
    'sampler',
    'sampler',
    'NAME',
    readSampler,
    `Sampler (default: by model): ${samplers.join(', ')}, or A1111's name`,
  ),
  value(
    'schedule',
    'schedule',
    'NAME',
    readSchedule,
    `Noise schedule (default: by model): ${schedules.join(', ')}, or A1111's name`,
  ),
  value('seed', 'seed', 'N', readInteger, 'Seed, 0..2^53-1; -1 draws one (default: -1)', { short: 's' }),
  value('batch', 'batchSize', 'N', readInteger, 'Pictures to make, with seeds seed, seed + 1, … (default: 1)', {
    short: 'b',
  }),
  value(
    'clip-skip',
    'clipSkip',
    'N',
    readInteger,
    'Layers of CLIP to stop before the end, 1..12; 1 is the last (default: by model)',
  ),
  value('eta', 'eta', 'X', readNumber, 'Noise that ancestral samplers, DDIM and TCD add, 0..1 (default: by sampler)'),
  value('guidance', 'guidance', 'X', readNumber, 'Distilled guidance of FLUX-like models, 0..100 (default: by model)'),
  value(
    'image-cfg-scale',
    'imageCfgScale',
    'X',
    readNumber,
    'Guidance towards the picture, inpaint and edit models only (default: as --cfg-scale)',
  ),
  value('flow-shift', 'flowShift', 'X', readNumber, 'Shift of the timesteps of flow models (default: by model)'),
  value(
    'sigmas',
    'sigmas',
    'LIST',
    readNumbers,
    'Own noise levels in place of --steps and --schedule: decreasing, the last 0, e.g. 14.6,5.1,0',
  ),
  flag('tiling', 'tiling', 'Work through the VAE tile by tile: less memory, more time'),
  value(
    'tile-size',
    'tiling.tileSize',
    'N|WxH',
    readTileSize,
    'Edge of a tile in latent cells, 4..4096; turns --tiling on (default: 32)',
  ),
  value(
    'tile-overlap',
    'tiling.overlap',
    'X',
    readNumber,
    'Share of a tile that overlaps its neighbour, 0..0.5; turns --tiling on (default: 0.5)',
  ),
  value('control-image', 'controlImage', 'FILE', readText, 'Preprocessed picture for the ControlNet or control model'),
  value('control-strength', 'controlStrength', 'X', readNumber, 'Strength of the ControlNet, 0..2 (default: 0.9)'),
  value('ref-image', 'refImages', 'FILE', readText, 'Reference picture of edit models; may be repeated', {
    multiple: true,
  }),
  value(
    'slg-layers',
    'skipLayerGuidance.layers',
    'LIST',
    readIntegers,
    'Layers that skip-layer guidance (SD3) leaves out (default: 7,8,9)',
  ),
  value(
    'slg-scale',
    'skipLayerGuidance.scale',
    'X',
    readNumber,
    'Strength of skip-layer guidance; naming any --slg option turns it on (default: 2.5)',
  ),
  value(
    'slg-start',
    'skipLayerGuidance.start',
    'X',
    readNumber,
    'Share of the steps after which it begins, 0..1 (default: 0.01)',
  ),
  value(
    'slg-end',
    'skipLayerGuidance.end',
    'X',
    readNumber,
    'Share of the steps after which it ends, 0..1 (default: 0.2)',
  ),
  value(
    'step-cache',
    'stepCache.mode',
    'MODE',
    readChoice(stepCacheModes),
    `Reuse work between steps: ${cacheModes.join(', ')} (default: none)`,
  ),
  value('step-cache-threshold', 'stepCache.threshold', 'X', readNumber, 'Change that is tolerated (default: by mode)'),
  value(
    'step-cache-start',
    'stepCache.start',
    'X',
    readNumber,
    'Share of the steps computed in full first, 0..1 (default: 0.15)',
  ),
  value(
    'step-cache-end',
    'stepCache.end',
    'X',
    readNumber,
    'Share of the steps after which all are computed in full, 0..1 (default: 0.95)',
  ),
];

/** Further options of `img2img`. */
export const img2imgOptions: readonly OptionDef[] = [
  value('image', 'image', 'FILE', readText, 'Start picture (required); gives the size unless --size does', {
    short: 'i',
  }),
  value('mask', 'mask', 'FILE', readText, 'White is painted anew, black is kept'),
  value('denoising-strength', 'denoisingStrength', 'X', readNumber, 'How much is made anew, 0..1 (default: 0.75)'),
];
