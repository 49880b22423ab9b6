import { beforeAll, expect, it } from 'vitest';
import { embeddedModelInfo, type RawImage } from '../../lib/index.js';
import { tiny, useModel } from '../support/native.js';

const fixture = useModel();
let styleLora = '';

beforeAll(async () => {
  ({ styleLora } = (await embeddedModelInfo()).companions);
});

/** How much more red than blue the pixels are that are not paper, in levels. */
function warmth({ data, channels }: RawImage): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < data.length; i += channels) {
    const [red, green, blue] = [data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0];
    if (Math.min(red, green, blue) > 230) continue;
    sum += red - blue;
    count++;
  }
  expect(count).toBeGreaterThan(200);
  return sum / count;
}

it('the style LoRA makes a red apple blue, half of it half as much, and leaves nothing behind', async () => {
  const { model } = fixture;
  const request = { ...tiny, steps: 8, cfgScale: 3 };
  const draw = async (): Promise<RawImage> => {
    const [image] = (await model.txt2img(request)).images;
    if (image === undefined) throw new Error('No picture');
    return image;
  };
  const plain = await draw();
  const { sha256 } = await model.weightsDigest();
  await model.loras.set([{ path: styleLora, weight: 0.5 }]);
  const half = warmth(await draw());
  await model.loras.set([{ path: styleLora, weight: 1 }]);
  const full = warmth(await draw());
  expect(warmth(plain)).toBeGreaterThan(100);
  expect(full).toBeLessThan(0);
  expect(half).toBeLessThan(warmth(plain) - 30);
  expect(half).toBeGreaterThan(full + 30);
  await model.loras.set([]);
  expect((await model.weightsDigest()).sha256).toBe(sha256);
  expect(Buffer.from((await draw()).data).equals(Buffer.from(plain.data))).toBe(true);
});
