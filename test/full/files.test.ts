import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type ModelFileOptions, type RawImage } from '../../lib/index.js';
import { expectPicture, threads } from '../support/native.js';
import { type Scratch, useScratch } from '../support/scratch.js';
import {
  draw,
  drawWithSdCli,
  expectSameBytes,
  type ParityLoad,
  type ParityRequest,
  runSdCli,
} from '../support/sdcli/index.js';
import { shapeRequests } from '../support/shapeRequests.js';
import {
  type QuantType,
  syntheticBytes,
  type SyntheticKind,
  syntheticPart,
  syntheticTensors,
  writeCkpt,
  writeGguf,
  writeSynthetic,
  writeTensors,
} from '../support/synthetic/index.js';

const seed = 1;
const request = shapeRequests('txt2img');
const img2img = shapeRequests('img2img');

/** Loads, draws and lets go, so that one model is in memory at a time. */
async function drawOnce(load: ParityLoad, ...requests: readonly ParityRequest[]): Promise<RawImage[]> {
  const runtime = await createRuntime({ backend: 'cpu' });
  try {
    const model = await runtime.loadModel({ rng: 'cpu', threads, ...load });
    const images: RawImage[] = [];
    for (const wanted of requests) images.push(...(await draw(model, wanted)).images);
    for (const image of images) expectPicture(image);
    return images;
  } finally {
    await runtime.dispose();
  }
}

type Parts = Partial<Record<keyof ModelFileOptions, string>>;

/** Writes the parts of a kind, each below its prefix, as files of their own. */
async function writeParts(scratch: Scratch, kind: SyntheticKind, parts: Parts, gguf?: QuantType): Promise<Parts> {
  const paths: Parts = {};
  for (const [field, prefix] of Object.entries(parts) as [keyof ModelFileOptions, string][]) {
    const path = scratch.path(`${field}.${gguf === undefined ? 'safetensors' : 'gguf'}`);
    const tensors = syntheticPart(kind, prefix);
    expect(tensors.length).toBeGreaterThan(0);
    if (gguf === undefined) await writeTensors(path, tensors, seed);
    else await writeGguf(path, tensors, gguf, seed);
    paths[field] = path;
  }
  return paths;
}

describe('SD 1.5', () => {
  const kind = 'sd1';
  // The checkpoint, its parts or the ckpt, and the converted file.
  const scratch = useScratch(syntheticBytes(kind) * 3.6);
  let checkpoint: string;
  let whole: RawImage[];

  beforeAll(async () => {
    checkpoint = scratch.path('whole.safetensors');
    await writeSynthetic(kind, checkpoint, { seed });
    whole = await drawOnce({ checkpoint }, request, img2img);
  });

  // sd-cli cannot: the engine knows a UNet by its text encoders, and sorts those by the UNet (see job_loader.inl).
  it('draws the same bytes from separate files', async () => {
    const parts = {
      diffusionModel: 'model.diffusion_model.',
      vae: 'first_stage_model.',
      clipL: 'cond_stage_model.transformer.',
    };
    expectSameBytes(await drawOnce(await writeParts(scratch, kind, parts), request, img2img), whole);
  });

  it('draws the same bytes from a ckpt', async () => {
    const path = scratch.path('whole.ckpt');
    await writeCkpt(path, syntheticTensors(kind), seed);
    expectSameBytes(await drawOnce({ checkpoint: path }, request, img2img), whole);
  });

  it('draws the bytes of sd-cli with the last layer of CLIP left out', async () => {
    const skipping = { ...request, clipSkip: 2 };
    const ours = await drawOnce({ checkpoint }, skipping, { ...request, clipSkip: 1 });
    const [skipped, plain] = ours;
    expect(Buffer.from(skipped?.data ?? []).equals(plain?.data ?? Buffer.alloc(0))).toBe(false);
    expectSameBytes(ours.slice(1), whole.slice(0, 1));
    const load = { checkpoint, rng: 'cpu', threads } as const;
    expectSameBytes(ours.slice(0, 1), await drawWithSdCli(scratch, load, skipping));
  });

  it('draws the bytes of sd-cli from a GGUF file that sd-cli converted', async () => {
    const path = scratch.path('converted.gguf');
    await runSdCli(['-M', 'convert', '-m', checkpoint, '-o', path, '--type', 'q8_0']);
    const ours = await drawOnce({ checkpoint: path }, request);
    expectSameBytes(ours, await drawWithSdCli(scratch, { checkpoint: path, rng: 'cpu', threads }, request));
    // It is another model than before: the weights were rounded.
    expect(Buffer.from(ours[0]?.data ?? []).equals(whole[0]?.data ?? Buffer.alloc(0))).toBe(false);
  });
});

describe('SD 2.x', () => {
  const kind = 'sd2-tiny-hf';
  const scratch = useScratch(syntheticBytes(kind) * 2.2);

  it('draws the same bytes from separate files', async () => {
    const checkpoint = scratch.path('whole.safetensors');
    await writeSynthetic(kind, checkpoint, { seed });
    const paths = await writeParts(scratch, kind, {
      diffusionModel: 'model.diffusion_model.',
      vae: 'first_stage_model.',
      clipL: 'cond_stage_model.transformer.',
    });
    expectSameBytes(await drawOnce(paths, request), await drawOnce({ checkpoint }, request));
  });
});

describe('SDXL', () => {
  const kind = 'sdxl-vega-hf';
  const scratch = useScratch(syntheticBytes(kind) * 2.2);

  it('draws the same bytes from separate files', async () => {
    const checkpoint = scratch.path('whole.safetensors');
    await writeSynthetic(kind, checkpoint, { seed });
    const paths = await writeParts(scratch, kind, {
      diffusionModel: 'model.diffusion_model.',
      vae: 'first_stage_model.',
      clipL: 'conditioner.embedders.0.transformer.',
      clipG: 'conditioner.embedders.1.transformer.',
    });
    const { vae } = paths;
    if (vae === undefined) throw new Error('no VAE');
    // The engine scales the convolutions of SDXL's VAE unless the VAE has a file of its own, so both have.
    const whole = await drawOnce({ checkpoint, vae, weightType: 'q8_0' }, request);
    expectSameBytes(await drawOnce({ ...paths, weightType: 'q8_0' }, request), whole);
  });
});

describe('SD3 with T5', () => {
  const kind = 'sd3-medium-t5';
  const scratch = useScratch(syntheticBytes(kind, 'q4_0') * 2.2);

  it('draws the same bytes from separate GGUF files', async () => {
    const checkpoint = scratch.path('whole.gguf');
    await writeSynthetic(kind, checkpoint, { seed, type: 'q4_0' });
    const whole = await drawOnce({ checkpoint }, request);
    const parts = {
      diffusionModel: 'model.diffusion_model.',
      vae: 'first_stage_model.',
      clipL: 'text_encoders.clip_l.transformer.',
      clipG: 'text_encoders.clip_g.transformer.',
      t5xxl: 'text_encoders.t5xxl.transformer.',
    };
    expectSameBytes(await drawOnce(await writeParts(scratch, kind, parts, 'q4_0'), request), whole);
  });
});
