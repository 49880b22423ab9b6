import { type OptionDef, optionsOf } from './define.js';
import { readChoice, readInteger, readModules, readNumber, readSampler, readSchedule, readText } from './readers.js';

const { flag, value } = optionsOf({ target: 'request', group: 'Second pass' });

/** Options of the second pass; any of them asks for one. */
export const hiresOptions: readonly OptionDef[] = [
  value('hires', 'hires.scale', 'X', readNumber, 'Enlarge the result X times and go over it once more, from 1'),
  value('hires-width', 'hires.width', 'N', readInteger, 'Width of the second pass, in place of --hires'),
  value('hires-height', 'hires.height', 'N', readInteger, 'Height of the second pass, in place of --hires'),
  value(
    'hires-upscaler',
    'hires.upscaler',
    'NAME|FILE',
    readText,
    'latent, latent-nearest-exact, lanczos, … or an ESRGAN model (default: latent)',
  ),
  value('hires-steps', 'hires.steps', 'N', readInteger, 'Steps that are really run (default: as --steps)'),
  value(
    'hires-denoising-strength',
    'hires.denoisingStrength',
    'X',
    readNumber,
    'How much is made anew, 0..1 (default: 0.7)',
  ),
  value('hires-prompt', 'hires.prompt', 'TEXT', readText, 'Prompt of the second pass (default: the same)'),
  value('hires-negative', 'hires.negativePrompt', 'TEXT', readText, 'Its negative prompt (default: the same)'),
  value('hires-sampler', 'hires.sampler', 'NAME', readSampler, 'Its sampler (default: the same)'),
  value('hires-schedule', 'hires.schedule', 'NAME', readSchedule, 'Its noise schedule (default: the same)'),
  value('hires-cfg-scale', 'hires.cfgScale', 'X', readNumber, 'Its guidance, 0..100 (default: the same)'),
  value('hires-guidance', 'hires.guidance', 'X', readNumber, 'Its distilled guidance, 0..100 (default: the same)'),
  value('hires-seed', 'hires.seed', 'N', readInteger, 'Its seed (default: the same)'),
  value('hires-model', 'hires.checkpoint', 'FILE', readText, 'Checkpoint of the second pass (default: the same model)'),
  value(
    'hires-modules',
    'hires.modules',
    'same|built-in|FILES',
    readModules,
    'Its VAE and text encoders; files with commas between them (default: built-in with --hires-model)',
  ),
  value('hires-refiner', 'hires.refiner.checkpoint', 'FILE', readText, 'Checkpoint that takes over in this pass'),
  value(
    'hires-refiner-switch-at',
    'hires.refiner.switchAt',
    'X',
    readNumber,
    'Share of its steps after which it does, above 0 and below 1 (default: 0.8)',
  ),
  value(
    'hires-refiner-switch-by',
    'hires.refiner.switchBy',
    'WHAT',
    readChoice(['steps', 'timesteps']),
    'What that share is of: steps or timesteps (default: steps)',
  ),
  flag('hires-strict', 'hires.strict', 'Refuse an upscaler of latents between two latent spaces'),
];
