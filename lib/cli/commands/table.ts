import { benchCommands } from '../../bench/types.js';
import { benchOptions } from '../options/bench.js';
import type { OptionDef } from '../options/define.js';
import { hiresOptions } from '../options/hires.js';
import { computeOptions, modelOptions } from '../options/model.js';
import { binaryOption, helpOption, jsonOption, outputOptions, tensorsOption } from '../options/output.js';
import { refinerOptions } from '../options/refiner.js';
import { img2imgOptions, requestOptions } from '../options/request.js';

export const commandNames = ['generate', 'img2img', 'inspect', 'doctor', 'models', 'bench'] as const;

export type CommandName = (typeof commandNames)[number];

export interface CommandDef {
  readonly name: CommandName;
  /** One sentence without the final dot. */
  readonly summary: string;
  /** What stands before the options: `PROMPT`, `FILE`. */
  readonly operand?: string;
  readonly operandHelp?: string;
  readonly options: readonly OptionDef[];
  readonly examples: readonly string[];
}

const settings = [...modelOptions, ...computeOptions, ...outputOptions];
const pictureOptions = [...requestOptions, ...refinerOptions, ...settings];

export const commands: readonly CommandDef[] = [
  {
    name: 'generate',
    summary: 'Make pictures from a prompt',
    operand: 'PROMPT',
    operandHelp: 'What the picture shows; may be left out with --prompt or --from',
    options: [...requestOptions, ...refinerOptions, ...hiresOptions, ...settings],
    examples: [
      'node-diffusion generate "a red apple" -o apple.png --seed 1 --size 128',
      'node-diffusion generate "a castle" -m sd15.safetensors --steps 20 --sampler euler_a -b 4 -o castle.webp',
      'node-diffusion generate "a red apple" --size 128 --hires 1.5 --hires-denoising-strength 0.5 -o large.png',
      'node-diffusion generate --from apple.png --seed 2 -o apple2.png',
    ],
  },
  {
    name: 'img2img',
    summary: 'Make pictures from a prompt and a picture; with --mask paint a part of it anew',
    operand: 'PROMPT',
    operandHelp: 'What the picture shows; may be left out with --prompt or --from',
    options: [...img2imgOptions, ...pictureOptions],
    examples: [
      'node-diffusion img2img --image apple.png "a tangerine" --denoising-strength 0.5 -o tangerine.png',
      'node-diffusion img2img --image photo.jpg --mask mask.png "a cat" -m sd15.safetensors -o cat.png',
      'node-diffusion img2img -i photo.jpg --mask mask.png "a cat" --inpaint-area only-masked --mask-blur 4 -o cat.png',
    ],
  },
  {
    name: 'inspect',
    summary: 'Tell what a model file is: architecture, components, tensors, metadata; reads no weights',
    operand: 'FILE',
    operandHelp: 'safetensors, GGUF or ckpt file, or a diffusers folder',
    options: [tensorsOption, jsonOption, binaryOption, helpOption],
    examples: ['node-diffusion inspect sd15.safetensors', 'node-diffusion inspect lora.safetensors --json --tensors'],
  },
  {
    name: 'doctor',
    summary: 'Show versions, backends, devices and memory, and what is wrong',
    options: [jsonOption, binaryOption, helpOption],
    examples: ['node-diffusion doctor', 'node-diffusion doctor --json'],
  },
  {
    name: 'models',
    summary: 'Show the embedded model: where it is, its licence, what it can draw',
    options: [jsonOption, helpOption],
    examples: ['node-diffusion models'],
  },
  {
    name: 'bench',
    summary: 'Measure this machine: speed, waiting times, memory, also against another program',
    operand: 'BENCHMARK',
    operandHelp: `${benchCommands.join(', ')}; or a result of --json, to compare it with another by --against`,
    options: [...benchOptions, ...modelOptions, ...computeOptions, helpOption],
    examples: [
      'node-diffusion bench throughput --sizes 64,128 --chart speed.svg --json speed.json',
      'node-diffusion bench throughput --compare sd-cli build/Release/sd-cli -m sd15.safetensors --sizes 256,512',
      'node-diffusion bench latency --compare diffusers venv/bin/python',
      'node-diffusion bench throughput --against speed.json',
      'node-diffusion bench new.json --against old.json',
    ],
  },
];

export function findCommand(name: string): CommandDef | undefined {
  return commands.find((command) => command.name === name);
}
