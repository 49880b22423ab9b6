import { describe, expect, it } from 'vitest';
import { createRuntime, type LoadModelOptions } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { closeness } from '../support/closeness.js';
import { expectPicture, only, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { draw } from '../support/sdcli/index.js';
import { type ShapeRequest, shapeRequests } from '../support/shapeRequests.js';
import { syntheticBytes, type SyntheticKind, writeSynthetic } from '../support/synthetic/index.js';

interface Shape {
  readonly kind: SyntheticKind;
  /** What the architecture was made for. Default: `txt2img`. */
  readonly mode?: ShapeRequest;
  /** The language model that reads the prompt, in a file of its own. */
  readonly llm?: SyntheticKind;
  /** Default: the engine's, f16, which ggml's CPU backend rounds activations to as well. */
  readonly convolutionType?: 'f32';
  /** Why a whole network is left to the CPU backend. */
  readonly leaves?: string;
}

/**
 * Every kind of image model whose largest network takes at most 9 GB in f32, with 24 GB of memory: text encoders, diffusion
 * model, VAE. T5, Z-Image and SDXL in its whole size do not (docs/openvino.md), and SDXL in its smallest is in parts.test.ts.
 * Without T5 the engine gives zeros as its output.
 */
const shapes: readonly Shape[] = [
  { kind: 'sd1-inpaint', mode: 'inpaint' },
  { kind: 'sd1-pix2pix', mode: 'reference' },
  { kind: 'sd1-tiny', mode: 'img2img' },
  { kind: 'sd2' },
  { kind: 'sd2-inpaint', mode: 'inpaint' },
  { kind: 'sd2-tiny' },
  // Its autoencoder has no norms: what rounding to f16 does to values far beyond a picture's would be all there is to see.
  { kind: 'sdxs-512', convolutionType: 'f32' },
  // The engine gives a tensor of its UNet another width for a while; the product reads what lies behind it.
  { kind: 'sdxs-09', convolutionType: 'f32', leaves: 'a product reads beyond its rows' },
  { kind: 'sd3-medium' },
  { kind: 'flux-narrow', mode: 'img2img' },
  { kind: 'flux-fill', mode: 'inpaint' },
  { kind: 'flux-controls', mode: 'control' },
  { kind: 'flex-2', mode: 'inpaint' },
  { kind: 'chroma-narrow' },
  { kind: 'chroma-radiance' },
  { kind: 'flux2-narrow', llm: 'mistral' },
  { kind: 'flux2-klein', llm: 'qwen3-klein' },
  { kind: 'qwen-image-short', llm: 'qwen25vl' },
  { kind: 'ovis-narrow', llm: 'qwen3-ovis' },
  { kind: 'ernie-short', llm: 'ministral' },
  { kind: 'anima-short', llm: 'qwen3-anima' },
];

/** The encoded prompt in f32, the picture, and what the engine said meanwhile. */
async function make(backend: 'cpu' | 'openvino', files: LoadModelOptions, mode: ShapeRequest) {
  const log: string[] = [];
  const logger = (_level: string, line: string): void => void log.push(line);
  // Each network leaves before the next is compiled: not every machine holds all of them.
  const openvino = backend === 'openvino' ? { cacheSize: '1MiB' } : undefined;
  await using runtime = await createRuntime({ backend, threads, openvino, logLevel: 'info', logger });
  const model = await runtime.loadModel({ ...files, rng: 'cpu' });
  using conditioning = await model.encodePrompt({ prompt: tiny.prompt, negativePrompt: null });
  const context = conditioning.context()?.data ?? new Float32Array();
  return { context, image: only(await draw(model, shapeRequests(mode))), log };
}

/** Reasons that the log has for nodes that OpenVINO does not compute. */
function reasonsIn(log: readonly string[]): string[] {
  const reasons = log.flatMap((line) => /openvino: \d+ x [^:]*: (.*)/.exec(line)?.[1]?.trim() ?? []);
  if (log.some((line) => line.includes('left to the CPU backend'))) expect(reasons).not.toEqual([]);
  return [...new Set(reasons)];
}

describe.each(shapes)('synthetic $kind', ({ kind, mode = 'txt2img', llm, convolutionType, leaves }) => {
  const kinds = llm === undefined ? [kind] : [kind, llm];
  const scratch = useScratch(kinds.reduce((sum, each) => sum + syntheticBytes(each), 0) * 1.05 + 2 ** 24);

  it(`gives the ${mode} of the CPU backend; ${leaves ?? 'no node'} falls back`, async () => {
    const write = async (each: SyntheticKind): Promise<string> => {
      const path = scratch.path(`${each}.safetensors`);
      await writeSynthetic(each, path, { seed: 1 });
      return path;
    };
    const files: LoadModelOptions = {
      ...{ checkpoint: await write(kind), convolutionType },
      ...(llm === undefined ? {} : { llm: await write(llm) }),
    };
    // One after the other: not every machine holds both.
    const wanted = await make('cpu', files, mode);
    const got = await make('openvino', files, mode);
    // Zeros where the text encoder is T5, which is not there.
    if (wanted.context.some((value) => value !== 0))
      expect(closeness(got.context, wanted.context).psnr, 'text encoder').toBeGreaterThan(50);
    expectPicture(got.image);
    expect(psnr(got.image.data, wanted.image.data)).toBeGreaterThan(50);
    expect(got.log.join('\n')).toContain('openvino: compiled');
    expect(reasonsIn(got.log)).toEqual(leaves === undefined ? [] : [leaves]);
  });
});
