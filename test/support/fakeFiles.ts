import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tensor of each part by the names that headers have: what makes a file one of that part. */
const names = {
  diffusionModel: 'model.diffusion_model.input_blocks.0.0.weight',
  textEncoder: 'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight',
  vae: 'first_stage_model.decoder.conv_in.weight',
  soleVae: 'decoder.conv_in.weight',
  soleTaesd: 'decoder.layers.0.weight',
  soleClipL: 'text_model.encoder.layers.0.mlp.fc1.weight',
  soleT5: 'encoder.block.0.layer.0.SelfAttention.k.weight',
  upscaler: 'body.0.rdb1.conv1.weight',
} as const;

export type FakePart = keyof typeof names;

let directory: string | undefined;
let count = 0;

/** A safetensors file whose header is whole, with the parts named; its bytes are its own. The fake addon does not read it. */
export function fakeFile(name: string, parts: readonly FakePart[]): string {
  directory ??= mkdtempSync(join(tmpdir(), 'node-diffusion-test-'));
  const header = Object.fromEntries(
    parts.map((part, index) => [names[part], { dtype: 'F32', shape: [1], data_offsets: [4 * index, 4 * index + 4] }]),
  );
  const text = JSON.stringify(header);
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const bytes = Buffer.alloc(8 + padded.length + 4 * parts.length);
  bytes.writeBigUInt64LE(BigInt(padded.length), 0);
  bytes.write(padded, 8, 'latin1');
  bytes.writeUInt32LE(++count, 8 + padded.length);
  const path = join(directory, `${name}-${String(count)}.safetensors`);
  writeFileSync(path, bytes);
  return path;
}

/** A checkpoint with everything inside. */
export function wholeCheckpoint(name: string): string {
  return fakeFile(name, ['diffusionModel', 'textEncoder', 'vae']);
}
