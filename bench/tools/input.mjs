import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, sdCli } from './paths.mjs';

const entry = join(root, 'dist', 'index.js');

/** The files both sides load and the versions of what is measured. The files are read once: no run pays for the disk. */
export async function prepare({ threads }) {
  if (!existsSync(entry)) throw new Error('dist/ is missing: run "npm run build".');
  if (!existsSync(sdCli)) throw new Error('sd-cli is missing: run "npm run build:sd-cli".');
  const { diagnose, ensureEmbeddedModel } = await import('node-diffusion');
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  for (const file of [checkpoint, taesd]) await readThrough(file);
  const { versions, cpuFeatures } = diagnose();
  if (versions === null) throw new Error('The addon does not load: run "npm run doctor".');
  const features = Object.keys(cpuFeatures).filter((name) => cpuFeatures[name]);
  return { checkpoint, taesd, threads, versions, cpuFeatures: features };
}

async function readThrough(file) {
  for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) void chunk;
}
