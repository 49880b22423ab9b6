import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { createRuntime, embeddedModelInfo } from '../../lib/index.js';
import { threads } from '../support/native.js';

const page = new URL('../../docs/lora.md', import.meta.url);

it('docs/lora.md has the digests of the style LoRA off, on, and taken out', async () => {
  const rows = [...(await readFile(page, 'utf8')).matchAll(/^\| ([a-z]+(?: [a-z\d.]+)?) \| `([0-9a-f]{64})` \|$/gm)];
  const told = rows.map(([, when = '', digest = '']) => [when, digest]);
  const { companions } = await embeddedModelInfo();
  const runtime = await createRuntime({ backend: 'cpu', threads });
  try {
    const model = await runtime.loadModel();
    const seen: string[][] = [];
    for (const [when, weight] of [['without'], ['weight 0.5', 0.5], ['weight 1', 1], ['taken out']] as const) {
      await model.loras.set(weight === undefined ? [] : [{ path: companions.styleLora, weight }]);
      seen.push([when, (await model.weightsDigest()).sha256]);
    }
    expect(told).toEqual(seen);
    expect(seen[3]?.[1]).toBe(seen[0]?.[1]);
    expect(new Set(seen.map(([, digest]) => digest)).size).toBe(3);
  } finally {
    await runtime.dispose();
  }
});
