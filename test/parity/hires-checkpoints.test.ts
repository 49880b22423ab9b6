import { expect, it } from 'vitest';
import {
  createRuntime,
  embeddedModelInfo,
  ensureEmbeddedModel,
  fileSha256,
  type ModelEvent,
  type RawImage,
} from '../../lib/index.js';
import { only } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { readPng } from '../support/sdcli/index.js';
import { syntheticBytes } from '../support/synthetic/index.js';
import { type CheckpointCase, readCheckpointReference } from './checkpointReference.js';
import { psnr } from './psnr.js';
import { referencePath } from './reference.js';
import { type Perturbation, type Synthesis, writePerturbed, writeSeededSdxl } from './seeded.js';

const { cases, minimumPsnr, weightsSha256 } = readCheckpointReference();
const scratch = useScratch(syntheticBytes('sdxl-vega-hf') + syntheticBytes('sd1-tiny'));

/** Most that both models may take together: the second is read when the first has left. */
const memoryLimit = 4e9;

it('the weights are those of the reference', async () => {
  expect(await fileSha256((await embeddedModelInfo()).narrow.path)).toBe(weightsSha256);
});

it('there is a case of the same and one of another architecture', () => {
  expect(cases.map(({ perturbation }) => perturbation !== undefined).sort()).toEqual([false, true]);
});

it.each(cases)('two passes of diffusers with two checkpoints: $name', async (reference) => {
  // What a case hardly depends on could be wrong here as well.
  expect(Math.max(...Object.values(reference.controls))).toBeLessThan(minimumPsnr - 2);
  const { name, hires, file, perturbation, synthesis, controls: _controls, ...rest } = reference;
  const request = requestOf(rest);
  const checkpoint = scratch.path(`${name}.safetensors`);
  await writeCheckpoint(checkpoint, { perturbation, synthesis });
  await using runtime = await createRuntime({ backend: 'cpu', threads: 2, memoryLimit });
  const model = await runtime.loadModel({ rng: 'cpu' });
  const events: string[] = [];
  const image = only(
    await model.txt2img({
      ...request,
      hires: {
        ...hires,
        checkpoint,
        // The embedded model's tiny autoencoder is a file of its own; the other checkpoint has all that it needs.
        ...(perturbation === undefined ? {} : { modules: [(await ensureEmbeddedModel()).taesd] }),
        sampler: request.sampler,
        schedule: request.schedule,
      },
      onModel: ({ action }: ModelEvent) => void events.push(action),
    }),
  );
  expect(events.slice(-2)).toEqual(['load', 'switch']);
  expect(await likeness(image, file)).toBeGreaterThanOrEqual(minimumPsnr);
});

function requestOf({
  prompt,
  negativePrompt,
  seed,
  steps,
  cfgScale,
  width,
  height,
  sampler,
  schedule,
}: Omit<CheckpointCase, 'name' | 'hires' | 'file' | 'controls'>) {
  return { prompt, negativePrompt, seed, steps, cfgScale, width, height, sampler, schedule };
}

async function writeCheckpoint(
  path: string,
  { perturbation, synthesis }: { perturbation?: Perturbation | undefined; synthesis?: Synthesis | undefined },
): Promise<void> {
  if (perturbation !== undefined) await writePerturbed(path, perturbation);
  else if (synthesis !== undefined) await writeSeededSdxl(path, synthesis);
  else throw new Error('A case must say how its checkpoint is made');
}

/** dB. */
async function likeness(image: RawImage, file: string): Promise<number> {
  const wanted = await readPng(referencePath(file));
  expect([image.width, image.height, image.channels]).toEqual([wanted.width, wanted.height, 3]);
  return psnr(image.data, wanted.data);
}
