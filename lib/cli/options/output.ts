import { type OptionDef, optionsOf } from './define.js';
import { readChoice, readInteger, readText } from './readers.js';

const own = optionsOf({ target: 'cli', group: 'Output' });
const preview = optionsOf({ target: 'request', group: 'Output' });

export const helpOption = own.flag('help', 'help', 'Show this help', { short: 'h' });
export const jsonOption = own.flag('json', 'json', 'One JSON object on stdout and nothing else');
export const binaryOption = own.value(
  'binary',
  'binary',
  'FILE',
  readText,
  'The addon node-diffusion.node to use (default: found by itself)',
);
export const tensorsOption = own.flag('tensors', 'tensors', 'List every tensor');

/** What the picture commands write. */
export const outputOptions: readonly OptionDef[] = [
  own.value(
    'output',
    'output',
    'FILE',
    readText,
    'Where to: .png, .webp, .jpg or .jpeg; a batch gets FILE-1, FILE-2, … (default: output.png)',
    { short: 'o' },
  ),
  own.value('quality', 'quality', 'N', readInteger, 'Of WebP and JPEG, 1..100 (default: 90)'),
  own.flag('lossless', 'lossless', 'Lossless WebP'),
  own.flag('no-infotext', 'infotext', 'Do not write the request into the file', { constant: false }),
  own.value('from', 'from', 'FILE', readText, 'Take prompt and settings of this picture (its infotext) as defaults'),
  own.value(
    'model-dir',
    'modelDirs',
    'DIR',
    readText,
    'Where --from finds files that the picture names, beside folders of files named here; may be given several times',
    { multiple: true },
  ),
  own.flag('preview', 'preview', 'Show previews, as coloured blocks where the terminal shows no pictures'),
  own.flag('no-preview', 'preview', 'Show no previews (default: where the terminal shows pictures)', {
    constant: false,
  }),
  preview.value(
    'preview-mode',
    'preview.mode',
    'MODE',
    readChoice(['projection', 'taesd', 'vae']),
    'How previews are made: projection, taesd, vae (default: projection)',
  ),
  preview.value('preview-every', 'preview.every', 'N', readInteger, 'A preview every N steps (default: 1)'),
  jsonOption,
  own.flag('quiet', 'quiet', 'No progress on stderr', { short: 'q' }),
  helpOption,
];

/** Settings of the picture commands that are no part of the API's options. */
export interface OutputSettings {
  readonly output?: string;
  readonly quality?: number;
  readonly lossless?: boolean;
  readonly infotext?: boolean;
  readonly from?: string;
  readonly modelDirs?: readonly string[];
  readonly preview?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}
