import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LatentFilter, type LatentMode, resizeLatent } from '../../../lib/pipeline/hires/index.js';
import { best } from '../../support/best.js';
import { referenceFloats } from './reference.js';

interface Reference {
  readonly cases: readonly {
    readonly filter: LatentFilter;
    readonly antialias: boolean;
    readonly shape: readonly number[];
    readonly to: readonly [height: number, width: number];
    readonly input: number;
    readonly output: number;
  }[];
  readonly nearest: readonly {
    readonly mode: LatentFilter;
    readonly from: number;
    readonly to: number;
    readonly sources: readonly number[];
  }[];
}

const reference = JSON.parse(readFileSync(new URL('reference/interpolate.json', import.meta.url), 'utf8')) as Reference;
const numbers = referenceFloats('interpolate.f32');
const slice = (start: number, shape: readonly number[]): Float32Array =>
  numbers.slice(start, start + shape.reduce((a, b) => a * b, 1));

const modes: readonly LatentMode[] = [
  { filter: 'bilinear', antialias: false },
  { filter: 'bilinear', antialias: true },
  { filter: 'bicubic', antialias: false },
  { filter: 'bicubic', antialias: true },
  { filter: 'nearest', antialias: false },
  { filter: 'nearest-exact', antialias: false },
];

describe('latents resized', () => {
  it.each(
    reference.cases.map((entry) => ({
      ...entry,
      name: `${entry.filter}${entry.antialias ? ' antialiased' : ''}, ${entry.shape.join('x')} to ${entry.to.join('x')}`,
    })),
  )('as PyTorch does it: $name', ({ filter, antialias, shape, to, input, output }) => {
    const { data, shape: made } = resizeLatent({ shape, data: slice(input, shape) }, ...to, { filter, antialias });
    expect(made).toEqual([shape[0], shape[1], ...to]);
    const wanted = slice(output, made);
    expect(data).toHaveLength(wanted.length);
    const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - (wanted[i] ?? NaN))), 0);
    expect(worst).toBeLessThanOrEqual(1e-5);
  });

  it.each(reference.nearest.map((entry) => ({ ...entry, name: `${entry.mode}, ${entry.from} to ${entry.to}` })))(
    'take the cell that PyTorch takes: $name',
    ({ mode, from, to, sources }) => {
      const row = { shape: [1, 1, 1, from], data: Float32Array.from({ length: from }, (_, i) => i) };
      expect([...resizeLatent(row, 1, to, { filter: mode, antialias: false }).data]).toEqual(sources);
    },
  );

  const size = fc.integer({ min: 1, max: 12 });

  it('stay flat where they were flat, and between their values where no filter overshoots', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...modes),
        size,
        size,
        size,
        size,
        fc.float({ noNaN: true, min: -8, max: 8 }),
        (mode, h, w, toH, toW, value) => {
          const flat = { shape: [1, 1, h, w], data: new Float32Array(h * w).fill(value) };
          for (const cell of resizeLatent(flat, toH, toW, mode).data) expect(Math.abs(cell - value)).toBeLessThan(1e-5);
          if (mode.filter === 'bicubic') return;
          const data = Float32Array.from({ length: h * w }, (_, i) => Math.sin(i * 12.9898) * 4);
          const [low, high] = [Math.min(...data), Math.max(...data)];
          for (const cell of resizeLatent({ shape: [1, 1, h, w], data }, toH, toW, mode).data) {
            expect(cell).toBeGreaterThanOrEqual(low - 1e-5);
            expect(cell).toBeLessThanOrEqual(high + 1e-5);
          }
        },
      ),
    );
  });

  it('keep images and channels apart', () => {
    fc.assert(
      fc.property(fc.constantFrom(...modes), size, size, size, size, (mode, h, w, toH, toW) => {
        const cells = h * w;
        const data = Float32Array.from({ length: 6 * cells }, (_, i) => Math.cos(i * 7.1));
        const whole = resizeLatent({ shape: [2, 3, h, w], data }, toH, toW, mode).data;
        for (let plane = 0; plane < 6; plane++) {
          const part = { shape: [1, 1, h, w], data: data.slice(plane * cells, (plane + 1) * cells) };
          const alone = resizeLatent(part, toH, toW, mode).data;
          expect(alone).toEqual(whole.slice(plane * toH * toW, (plane + 1) * toH * toW));
        }
      }),
    );
  });

  it('take less than 50 ms for 4x128x128 to 4x256x256', async () => {
    const latent = { shape: [1, 4, 128, 128], data: new Float32Array(4 * 128 * 128).fill(0.5) };
    for (const mode of modes) {
      const resize = (): Promise<number> => {
        const start = performance.now();
        resizeLatent(latent, 256, 256, mode);
        return Promise.resolve(performance.now() - start);
      };
      expect(await best(50, resize)).toBeLessThan(50);
    }
  });

  it('refuse other tensors and sizes', () => {
    const latent = { shape: [1, 1, 2, 2], data: new Float32Array(4) };
    const [mode] = modes as [LatentMode];
    const fault = (field: string) => expect.objectContaining({ code: 'ERR_INVALID_OPTION', field });
    expect(() => resizeLatent({ shape: [2, 2], data: latent.data }, 4, 4, mode)).toThrow(fault('latent'));
    expect(() => resizeLatent(latent, 0, 4, mode)).toThrow(fault('height'));
    expect(() => resizeLatent(latent, 4, 2.5, mode)).toThrow(fault('width'));
  });
});
