import { describe, expect, it } from 'vitest';
import { readImage } from '../../../lib/image/index.js';
import {
  hiresSize,
  hiresSteps,
  resolveUpscaler,
  upscaleLatent,
  upscalePixels,
} from '../../../lib/pipeline/hires/index.js';
import { readHiresReference } from '../../parity/hiresReference.js';
import { readArray, referencePath } from '../../parity/reference.js';

// The same arithmetic in Python (test/parity/diffusers/hires.py), with torch and Pillow; here without the engine.
describe.each(readHiresReference().cases)('between the passes of $name', (reference) => {
  const { width, height, hires, covering, totalSteps, arrays } = reference;
  const size = hiresSize(
    { width, height },
    { width: hires.width, height: hires.height },
    { sizeMultiple: 64, scaleFactor: 8 },
  );
  const upscaler = resolveUpscaler(hires.upscaler);

  it('sizes and steps are those of the reference', () => {
    expect([size.upscaledWidth, size.upscaledHeight]).toEqual(covering);
    expect(hiresSteps(hires.steps, hires.denoisingStrength)).toMatchObject({ total: totalSteps, steps: hires.steps });
    expect(reference.hiresSigmas).toHaveLength(hires.steps + 1);
  });

  it('what the second pass starts from is made of the first', async () => {
    if (upscaler.kind === 'latent') {
      const first = { shape: [1, ...arrays.firstLatent.shape], data: readArray(arrays.firstLatent) };
      const { shape, data } = upscaleLatent(first, size, upscaler.mode, 8);
      expect(shape).toEqual([1, ...arrays.start.shape]);
      const wanted = readArray(arrays.start);
      const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - (wanted[i] ?? NaN))), 0);
      expect(worst).toBeLessThan(1e-5);
    } else if (upscaler.kind === 'pixel') {
      const first = await readImage(referencePath(reference.firstFile));
      const enlarged = await readImage(referencePath(reference.enlargedFile ?? ''));
      expect(await upscalePixels(first, size, upscaler.filter)).toEqual(enlarged);
    } else {
      expect.unreachable('no case has a model');
    }
  });
});
