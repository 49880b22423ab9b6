import { type OptionDef, optionsOf } from './define.js';
import { readChoice, readModules, readNumber, readText } from './readers.js';

const { value } = optionsOf({ target: 'request', group: 'Refiner' });

/** Of every picture command. */
export const refinerOptions: readonly OptionDef[] = [
  value('refiner', 'refiner.checkpoint', 'FILE', readText, 'Checkpoint that takes over in the middle of the steps'),
  value(
    'refiner-switch-at',
    'refiner.switchAt',
    'X',
    readNumber,
    'Share of the steps after which it does, above 0 and below 1 (default: 0.8)',
  ),
  value(
    'refiner-switch-by',
    'refiner.switchBy',
    'WHAT',
    readChoice(['steps', 'timesteps']),
    'What the share is of: steps, or the timesteps of the model as A1111 since 1.9 (default: steps)',
  ),
  value(
    'refiner-modules',
    'refiner.modules',
    'same|built-in|FILES',
    readModules,
    'Its VAE and text encoders; files with commas between them (default: built-in)',
  ),
];
