import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './paths.mjs';

/** The tests' writers of synthetic files, which are TypeScript, as a module. */
async function supports(folder) {
  const entry = join(folder, 'support.ts');
  const from = (path) => JSON.stringify(join(root, 'test', 'support', path));
  writeFileSync(
    entry,
    `export { syntheticTensors, writeSynthetic } from ${from('synthetic/index.ts')};\nexport { lowRank, writeLora } from ${from('lora/files.ts')};\n`,
  );
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
  const support = await supports(folder);
  const checkpoint = join(folder, 'sd1.safetensors');
  await support.writeSynthetic('sd1', checkpoint, { seed: 1 });
  return { checkpoint, ...writeLoras(support, folder, support.syntheticTensors('sd1'), rank, seeds) };
}

/** LoRAs as those of {@link writeSyntheticSd1} for the UNet of a checkpoint (safetensors) of the same names. */
export async function writeLorasFor(checkpoint, folder, rank, seeds) {
  mkdirSync(folder, { recursive: true });
  const tensors = Object.entries(safetensorsHeader(checkpoint)).map(([name, { shape }]) => ({ name, shape }));
  const unet = tensors.filter(({ name }) => name.startsWith('model.diffusion_model.'));
  return writeLoras(await supports(folder), folder, unet, rank, seeds);
}

function safetensorsHeader(file) {
  const descriptor = openSync(file, 'r');
  try {
    const length = Buffer.alloc(8);
    readSync(descriptor, length);
    const header = Buffer.alloc(Number(length.readBigUInt64LE()));
    readSync(descriptor, header);
    return JSON.parse(header.toString());
  } finally {
    closeSync(descriptor);
  }
}

function writeLoras({ lowRank, writeLora }, folder, tensors, rank, seeds) {
  const modules = {};
  for (const { name, shape } of tensors) {
    const unet = /^model\.diffusion_model\.(.*(?:attn\d\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2)))\.weight$/.exec(
      name,
    );
    const text = /^cond_stage_model\.transformer\.(.*(?:self_attn\.\w+_proj|mlp\.fc\d))\.weight$/.exec(name);
    if (unet !== null) modules[`lora_unet_${unet[1].replaceAll('.', '_')}`] = [shape[0], shape[1]];
    else if (text !== null) modules[`lora_te_${text[1].replaceAll('.', '_')}`] = [shape[0], shape[1]];
  }
  const loras = seeds.map((seed) =>
    writeLora(
      join(folder, `lora${seed}.safetensors`),
      lowRank(modules, { seed, rank, alpha: rank, size: 0.01 }),
      {},
      'F16',
    ),
  );
  return { loras, modules: Object.keys(modules).length };
}

export function removeFolder(folder) {
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
}
