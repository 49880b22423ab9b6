import { invalidOption } from '../../errors/index.js';
import { peerNames } from '../../bench/types.js';
import { type OptionDef, optionsOf, type Reader } from './define.js';
import { hiresOptions } from './hires.js';
import { readChoice, readInteger, readSize, readText } from './readers.js';
import { requestOptions } from './request.js';

const { flag, value } = optionsOf({ target: 'cli', group: 'Benchmark' });

const backends = ['cpu', 'cuda', 'vulkan', 'openvino'] as const;

const listOf =
  (read: Reader): Reader =>
  (text, field) =>
    text.split(',').map((entry) => read(entry.trim(), field));

const between =
  (low: number, high: number): Reader =>
  (text, field) => {
    const number = readInteger(text, field) as number;
    if (number >= low && number <= high) return number;
    throw invalidOption(field, number, `an integer, ${String(low)}..${String(high)}`);
  };

/** Of a picture's request those that are the same on every side. */
const ofRequest = new Set(['prompt', 'negative', 'steps', 'cfg-scale', 'sampler', 'schedule', 'seed']);
const ofHires = new Set(['hires', 'hires-upscaler', 'hires-steps', 'hires-denoising-strength']);

/** Help texts that say more, or something else, than for pictures. */
const helpOf: Readonly<Record<string, string>> = {
  prompt: 'What the pictures show (default: a red apple)',
  steps: 'Denoising steps, 1..1000 (default: 10)',
  seed: 'Seed, 0..2^53-1 (default: 1)',
  hires: 'Of the benchmark hires: enlarge X times, from 1 (default: 2)',
  'hires-upscaler': 'Its upscaler (default: latent-nearest)',
  'hires-steps': 'Steps of its second pass (default: as --steps)',
  'hires-denoising-strength': 'How much is made anew, 0..1 (default: 0.6)',
};

/** What benchmarks take of the options of pictures. */
const pictureOptions: readonly OptionDef[] = [
  ...requestOptions.filter(({ name }) => ofRequest.has(name)),
  ...hiresOptions.filter(({ name }) => ofHires.has(name)),
].map((option) => {
  const { short: _, ...rest } = option;
  return { ...rest, group: 'Picture' as const, help: helpOf[option.name] ?? option.help };
});

export const benchOptions: readonly OptionDef[] = [
  value('sizes', 'sizes', 'LIST', listOf(readSize), 'Sizes of the pictures, e.g. 256,512x768 (default: by model)'),
  value('repeat', 'repeat', 'N', between(1, 1000), 'Turns that are measured, 1..1000 (default: 3 to 7, by benchmark)'),
  value('warmup', 'warmup', 'N', between(0, 100), 'Turns before them that do not count, 0..100 (default: 1)'),
  value('lora', 'loras', 'FILE', readText, 'LoRA of the benchmark lora; may be repeated (default: two are made up)', {
    multiple: true,
  }),
  value(
    'backends',
    'backends',
    'LIST',
    listOf(readChoice(backends)),
    `Backends of the benchmark backends, the first is the measure: ${backends.join(', ')} (default: all with a device)`,
  ),
  {
    ...value(
      'compare',
      'compare',
      'PEER',
      readChoice(peerNames),
      `Run another program in turn: ${peerNames.join(', ')}`,
    ),
    operand: 'PATH',
  },
  value('json', 'json', 'FILE', readText, 'Write every value, machine and versions'),
  value('chart', 'chart', 'FILE', readText, 'Draw the medians: .svg or .png'),
  value('against', 'against', 'FILE', readText, 'Compare with a result of --json of this machine'),
  flag('quiet', 'quiet', 'No progress on stderr', { short: 'q' }),
  ...pictureOptions,
];
