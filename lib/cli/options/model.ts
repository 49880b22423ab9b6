import {
  predictionAliases,
  predictions,
  rngAliases,
  rngs,
  weightTypeAliases,
  weightTypes,
  convolutionTypes,
} from '../../options/index.js';
import { type OptionDef, optionsOf } from './define.js';
import { readChoice, readDevice, readInteger, readNumber, readText } from './readers.js';

const model = optionsOf({ target: 'model', group: 'Model' });
const load = optionsOf({ target: 'model', group: 'Compute' });
const runtime = optionsOf({ target: 'runtime', group: 'Compute' });

const backends = ['auto', 'cpu', 'cuda', 'vulkan', 'openvino'] as const;
const isolations = ['none', 'process'] as const;
const logLevels = ['debug', 'info', 'warn', 'error'] as const;
const generators = ['cuda', 'cpu', 'std'];
const readRng = readChoice(rngs, rngAliases);

function file(name: string, key: string, help: string, short?: string): OptionDef {
  return model.value(name, key, 'FILE', readText, help, short === undefined ? {} : { short });
}

/** Which model, and how it is read. */
export const modelOptions: readonly OptionDef[] = [
  file('model', 'checkpoint', 'Checkpoint: safetensors, GGUF or ckpt (default: the embedded model)', 'm'),
  file('diffusion-model', 'diffusionModel', 'UNet or transformer alone'),
  file('vae', 'vae', 'VAE'),
  file('taesd', 'taesd', 'Tiny autoencoder; replaces the VAE unless --taesd-preview-only'),
  file('clip-l', 'clipL', 'Text encoder CLIP-L'),
  file('clip-g', 'clipG', 'Text encoder CLIP-G'),
  file('clip-vision', 'clipVision', 'CLIP image encoder'),
  file('t5xxl', 't5xxl', 'Text encoder T5-XXL'),
  file('llm', 'llm', 'Language model as text encoder (Qwen-Image, Z-Image, FLUX.2)'),
  file('llm-vision', 'llmVision', 'Vision part of the language model'),
  file('control-net', 'controlNet', 'ControlNet'),
  model.flag('taesd-preview-only', 'taesdPreviewOnly', 'Use --taesd for previews only'),
  model.flag('vae-decode-only', 'vaeDecodeOnly', "Leave the VAE's encoder out: less memory, no img2img"),
  model.value(
    'weight-type',
    'weightType',
    'TYPE',
    readChoice(weightTypes, weightTypeAliases),
    `Convert weights while loading: ${weightTypes.join(', ')} (default: as in the file)`,
  ),
  model.value(
    'tensor-type-rules',
    'tensorTypeRules',
    'RULES',
    readText,
    "Weight types by tensor name: 'regex=type,regex=type'",
  ),
  model.value(
    'convolution-type',
    'convolutionType',
    'TYPE',
    readChoice(convolutionTypes),
    'Kernels of convolutions and what goes into them: f16, f32 (default: f16)',
  ),
  model.value(
    'prediction',
    'prediction',
    'NAME',
    readChoice(predictions, predictionAliases),
    `What the network predicts: ${predictions.join(', ')} (default: detected)`,
  ),
  model.value('rng', 'rng', 'NAME', readRng, `Generator of the noise: ${generators.join(', ')} (default: cuda)`),
  model.value(
    'sampler-rng',
    'samplerRng',
    'NAME',
    readRng,
    'Generator of the noise that samplers add (default: as --rng)',
  ),
  model.flag('circular', 'circular', 'Pictures that tile seamlessly along both axes'),
  model.flag('circular-x', 'circular.x', 'Seamless from left to right only'),
  model.flag('circular-y', 'circular.y', 'Seamless from top to bottom only'),
];

/** Where it is computed, and how memory is used. */
export const computeOptions: readonly OptionDef[] = [
  runtime.value(
    'backend',
    'backend',
    'NAME',
    readChoice(backends),
    `Family of devices: ${backends.join(', ')} (default: auto)`,
  ),
  runtime.value(
    'device',
    'device',
    'NAME',
    readDevice,
    'Device by name, part of its description or index, see doctor (default: the first of the backend)',
  ),
  runtime.value(
    'threads',
    'threads',
    'N',
    readInteger,
    'CPU threads; 0: one per physical core, or as many as the process may use (default: 0)',
    {
      short: 't',
    },
  ),
  load.flag('mmap', 'mmap', 'Map the files into memory rather than read them'),
  load.flag('flash-attention', 'flashAttention', 'Attention without the full score matrix: less memory'),
  load.flag('diffusion-conv-direct', 'diffusionConvDirect', 'Direct convolutions in the diffusion model: less memory'),
  load.flag('vae-conv-direct', 'vaeConvDirect', 'Direct convolutions in the VAE: much less memory'),
  load.flag('text-encoder-on-cpu', 'textEncoderOnCpu', 'Keep the text encoders on the CPU'),
  load.flag('vae-on-cpu', 'vaeOnCpu', 'Keep the VAE on the CPU'),
  load.flag('control-net-on-cpu', 'controlNetOnCpu', 'Keep the ControlNet on the CPU'),
  load.flag(
    'offload-to-cpu',
    'offloadToCpu',
    'Keep weights in host memory, bring each component to the device when it runs',
  ),
  load.value(
    'max-vram',
    'maxVram',
    'GIB',
    readNumber,
    'Device memory that one graph may use; 0: no limit (default: 0)',
  ),
  runtime.value(
    'binary',
    'binary',
    'FILE',
    readText,
    'The addon node-diffusion.node to use (default: found by itself)',
  ),
  runtime.value(
    'isolation',
    'isolation',
    'MODE',
    readChoice(isolations),
    'process: the engine in a process of its own, whose crash is an error (default: none)',
  ),
  runtime.value(
    'log-level',
    'logLevel',
    'LEVEL',
    readChoice(logLevels),
    `Show messages of the engine: ${logLevels.join(', ')} (default: none)`,
  ),
];
