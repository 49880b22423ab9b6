import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { embeddedFiles } from './ensure.js';
import { narrowPath, readNarrow } from './narrow.js';
import { embeddedName, narrowSha256 } from './pins.js';

export interface EmbeddedFileInfo {
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface EmbeddedModelInfo {
  /** With the version, e.g. `nano-v2`. */
  readonly name: string;
  /** SPDX identifier. */
  readonly license: string;
  /** What it was trained on, in words. */
  readonly data: string;
  /** Model card, a Markdown file. */
  readonly card: string;
  /** What it can draw: the words to put in a prompt. */
  readonly concepts: readonly string[];
  /** Pixels; it was trained at this width and height. */
  readonly size: number;
  /** The weights inside the package. */
  readonly narrow: EmbeddedFileInfo;
  /** The standard files in the cache directory, as they are or will be. */
  readonly checkpoint: EmbeddedFileInfo;
  readonly taesd: EmbeddedFileInfo;
  /** Small files that go with it; trained by `models/nano/train`, shipped in the package. */
  readonly companions: {
    /** Absolute path of a style LoRA in kohya's format: blue ink on white paper. No word in the prompt is needed. */
    readonly styleLora: string;
  };
  /** Whether both are there with the right size. Their content is checked when the model is loaded. */
  readonly unpacked: boolean;
}

/**
 * Facts of the embedded model. Writes nothing.
 *
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND` or `ERR_MODEL_CORRUPT` when the installed package is damaged.
 */
export async function embeddedModelInfo(): Promise<EmbeddedModelInfo> {
  const { metadata } = await readNarrow();
  const { checkpoint, taesd } = embeddedFiles();
  const present = await Promise.all(
    [checkpoint, taesd].map(({ path, bytes }) =>
      stat(path).then(
        (s) => s.size === bytes,
        () => false,
      ),
    ),
  );
  const facts = ({ path, bytes, sha256 }: EmbeddedFileInfo): EmbeddedFileInfo => ({ path, bytes, sha256 });
  return {
    name: embeddedName,
    license: metadata.license ?? '',
    data: metadata.data ?? '',
    card: join(dirname(narrowPath()), 'README.md'),
    concepts: JSON.parse(metadata.concepts ?? '[]') as string[],
    size: 128,
    narrow: { path: narrowPath(), bytes: (await stat(narrowPath())).size, sha256: narrowSha256 },
    checkpoint: facts(checkpoint),
    taesd: facts(taesd),
    companions: { styleLora: join(dirname(narrowPath()), 'companions', 'ink-lora.safetensors') },
    unpacked: present.every(Boolean),
  };
}
