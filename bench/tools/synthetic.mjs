import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './paths.mjs';
import { writeSyntheticLoras } from './shared.mjs';

/** The tests' writer of synthetic checkpoints, which is TypeScript, as a module. */
async function support(folder) {
  const entry = join(root, 'test', 'support', 'synthetic', 'index.ts');
  const outfile = join(folder, 'support.mjs');
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' });
  return import(pathToFileURL(outfile).href);
}

/**
 * A checkpoint in SD 1.5's shape with seeded f16 weights, and LoRAs of one rank on every attention and feed-forward
 * linear of the UNet and of the text encoder: 232 modules with the projections around the transformers.
 */
export async function writeSyntheticSd1(folder, rank, seeds) {
  mkdirSync(folder, { recursive: true });
  const { writeSynthetic } = await support(folder);
  const checkpoint = join(folder, 'sd1.safetensors');
  await writeSynthetic('sd1', checkpoint, { seed: 1 });
  const { paths, modules } = await writeSyntheticLoras(folder, checkpoint, rank, seeds, new AbortController().signal);
  return { checkpoint, loras: paths, modules };
}
