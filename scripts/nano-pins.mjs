#!/usr/bin/env node
/**
 * Makes another narrow file the embedded model: `node scripts/nano-pins.mjs nano-v2` pins models/nano/nano-v2.safetensors and what
 * lifting makes of it in lib/model/embedded/pins.ts. Build the TypeScript afterwards (npm run build:ts).
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './tools/paths.mjs';
import { Stop, entry, say } from './tools/say.mjs';

const pins = join(root, 'lib/model/embedded/pins.ts');

/** Replaces the values of the exported constants that are named, and no other line. */
function pin(values) {
  let text = readFileSync(pins, 'utf8');
  for (const [name, value] of Object.entries(values)) {
    const line = new RegExp(`^export const ${name} = .*;$`, 'm');
    if (!line.test(text)) throw new Stop(`${pins} has no constant "${name}".`);
    const grouped = String(value).replace(/\B(?=(\d{3})+$)/g, '_');
    text = text.replace(line, `export const ${name} = ${typeof value === 'number' ? grouped : `'${value}'`};`);
  }
  writeFileSync(pins, text);
}

/** The lifting from the sources as they are now. */
async function lifting() {
  const outfile = join(root, 'build-ts', 'lifting.mjs'); // a folder below the root: lib/here.ts takes the one above
  const files = ['embedded/lift', 'embedded/narrow', 'embedded/store', 'safetensors/index'];
  const contents = files.map((file) => `export * from './lib/model/${file}.ts';`).join('\n');
  const { build } = await import('esbuild');
  await build({
    stdin: { contents, resolveDir: root },
    ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external', outfile, logLevel: 'warning' },
  });
  return import(outfile);
}

entry(import.meta.url, async ([name]) => {
  if (name === undefined) throw new Stop('say the name of a file in models/nano, without extension.');
  const bytes = readFileSync(join(root, 'models/nano', `${name}.safetensors`));
  pin({ embeddedName: name, narrowSha256: createHash('sha256').update(bytes).digest('hex') });
  const { liftedCheckpoint, liftedMetadata, liftedTaesd, readNarrow, writeSafetensors } = await lifting();
  const narrow = await readNarrow();
  const nowhere = { write: (_, __, length) => Promise.resolve({ bytesWritten: length }) };
  const lifted = (tensors) => writeSafetensors(nowhere, tensors, { metadata: liftedMetadata });
  const checkpoint = await lifted(liftedCheckpoint(narrow));
  const taesd = await lifted(liftedTaesd(narrow));
  pin({ checkpointSha256: checkpoint.sha256, checkpointBytes: checkpoint.bytes });
  pin({ taesdSha256: taesd.sha256, taesdBytes: taesd.bytes });
  say(`${name}: checkpoint ${checkpoint.sha256}, taesd ${taesd.sha256}`);
  return 0;
});
