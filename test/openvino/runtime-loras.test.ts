import { expect, it } from 'vitest';
import { createRuntime, type ModelEvent } from '../../lib/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { edge, hashes, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(64 * 2 ** 20);
const block = 'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_';

/** Of a style that changes the same two matrices as all others. */
const style = (seed: number): string =>
  writeLora(
    scratch.path(`${String(seed)}.safetensors`),
    lowRank({ [`${block}to_q`]: [320, 320], [`${block}to_v`]: [320, 320] }, { seed, size: 0.1 }),
  );

it('LoRAs that a quantised model adds at run time are inputs: after two sets, none compiles anything', async () => {
  await using runtime = await createRuntime({ backend: 'openvino', threads });
  const model = await runtime.loadModel({ weightType: 'q8_0' });
  const pictures = new Map<string, string>();
  /** Why the UNet was compiled for a picture of this set. */
  const make = async (seed: number, width: number): Promise<(string | undefined)[]> => {
    const compiled: (string | undefined)[] = [];
    const onModel = ({ action, component, reason }: ModelEvent): void =>
      void (action === 'compile' && component === 'diffusionModel' && compiled.push(reason));
    const result = await model.txt2img({ ...tiny, width, loras: [{ path: style(seed) }], onModel });
    expect(model.loras.report.mode).toBe('runtime');
    pictures.set(`${String(seed)} of ${String(width)}`, hashes(result).join());
    return compiled;
  };
  expect(await make(1, edge)).toEqual(['new size or network']);
  expect(await make(2, edge)).toEqual(['weights changed']);
  const second = pictures.get(`2 of ${String(edge)}`);
  for (const seed of [3, 4, 1]) expect(await make(seed, edge)).toEqual([]);
  expect(new Set(pictures.values()).size).toBe(4);
  expect(await make(2, edge)).toEqual([]);
  expect(pictures.get(`2 of ${String(edge)}`)).toBe(second);
  // At another size they are inputs at once.
  expect(await make(3, 2 * edge)).toEqual(['new size or network']);
  expect(await make(4, 2 * edge)).toEqual([]);
});
