import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Model, type ModelFileOptions, type RawImage, type Runtime } from '../../lib/index.js';
import { expectPicture, failure, tiny } from './native.js';
import { type Scratch, useScratch } from './scratch.js';
import { draw, drawWithSdCli, expectSameBytes, type ParityLoad, type ParityRequest } from './sdcli/index.js';
import { type ShapeRequest, shapeRequests } from './shapeRequests.js';
import { peakBytes, reportShape, resetPeak, type ShapeRow } from './shapesReport.js';
import { type QuantType, type SyntheticKind, syntheticBytes, writeSynthetic } from './synthetic/index.js';

/** A file: f16 safetensors, or a GGUF file whose matrices are of the type. */
export interface ShapeFile {
  readonly kind: SyntheticKind;
  readonly gguf?: QuantType;
}

export interface ShapeCase extends ShapeFile {
  /** The engine's display name. */
  readonly architecture: string;
  readonly latentChannels: number;
  /** Text encoders in files of their own. */
  readonly beside?: Partial<Record<keyof ModelFileOptions, ShapeFile>>;
  /** Converts while loading. Keeps the larger kinds within 12 GB. */
  readonly weightType?: 'q8_0' | 'q4_0';
  /** Default 1: more wait for each other actively, which takes long where others work as well. */
  readonly threads?: number;
  /** Beside txt2img: what the architecture was made for. */
  readonly also?: readonly ShapeRequest[];
  /** False: there is no VAE with weights. */
  readonly vae?: false;
  /** Loads, but makes videos: the picture modes refuse it. */
  readonly video?: true;
  /** Why sd-cli cannot do the same. Default: it can, and the bytes are compared. */
  readonly noSdCli?: string;
}

/** Writes the kind with seeded weights, loads it, draws 64x64 in two steps over two seeds, and compares with sd-cli. */
export function shapeSuite(shape: ShapeCase): void {
  const name = [shape, ...Object.values(shape.beside ?? {})].map(({ kind }) => kind).join(' + ');
  describe(`synthetic ${name}`, () => {
    const files = { checkpoint: shape, ...shape.beside };
    const bytes = Object.values(files).reduce((sum, { kind, gguf }) => sum + syntheticBytes(kind, gguf), 0);
    const scratch = useScratch(bytes * 1.05 + 2 ** 24);
    let [runtime, model, load]: [Runtime?, Model?, ParityLoad?] = [];
    let loadSeconds = NaN;

    beforeAll(async () => {
      load = await writeFiles(files, scratch, shape);
      runtime = await createRuntime({ backend: 'cpu' });
      await resetPeak();
      const started = performance.now();
      model = await runtime.loadModel(load);
      loadSeconds = (performance.now() - started) / 1000;
      return () => runtime?.dispose({ abort: true });
    });

    const loaded = (): { model: Model; load: ParityLoad } => {
      if (model === undefined || load === undefined) throw new Error('The model was not loaded');
      return { model, load };
    };

    it('is recognised, with every tensor of every component', () => {
      const { info } = loaded().model;
      expect(info.architecture).toBe(shape.architecture);
      expect(info.latentChannels).toBe(shape.latentChannels);
      expect(info.components.map(({ name: component }) => component)).toEqual(['textEncoder', 'diffusionModel', 'vae']);
      for (const component of info.components) {
        const expected = component.name !== 'vae' || shape.vae !== false;
        expect([component.name, component.tensors > 0, component.bytes > 0]).toEqual([
          component.name,
          expected,
          expected,
        ]);
      }
      expect(info.bytes).toBe(info.components.reduce((sum, component) => sum + component.bytes, 0));
    });

    /** What is reported once everything was found right. */
    const measured = async (seconds: number | null): Promise<ShapeRow> => ({
      kind: name,
      architecture: shape.architecture,
      weightBytes: loaded().model.info.bytes,
      fileBytes: bytes,
      type: shape.weightType ?? (shape.gguf === undefined ? 'f16' : shape.gguf),
      threads: shape.threads ?? 1,
      loadSeconds,
      pictureSeconds: seconds,
      peakRssBytes: await peakBytes(),
      comparedWithSdCli: seconds !== null && shape.noSdCli === undefined,
    });

    if (shape.video === true) {
      it('is refused by the picture modes', async () => {
        const error = await failure(loaded().model.txt2img(tiny));
        expect(error.code).toBe('ERR_MODEL_UNSUPPORTED');
        expect(error.message).toContain(shape.architecture);
        await reportShape(await measured(null));
      });
      return;
    }

    const requests: readonly ParityRequest[] = ['txt2img' as const, ...(shape.also ?? [])].map(shapeRequests);
    const title = shape.noSdCli === undefined ? 'the bytes of sd-cli' : 'the same bytes again';
    it(`draws ${title}, another seed others`, async () => {
      const ours: (readonly RawImage[])[] = [];
      let row: ShapeRow | undefined;
      for (const request of requests) {
        const started = performance.now();
        ours.push((await draw(loaded().model, request)).images);
        row ??= await measured((performance.now() - started) / 1000);
      }
      const [first = [], ...rest] = ours;
      for (const images of ours) {
        expect(images).toHaveLength(1);
        for (const image of images) expectPicture(image);
        // A mode that the model did not heed would draw the text's picture once more.
        if (images !== first) expect(bytesOf(images).equals(bytesOf(first))).toBe(false);
      }
      expect(rest).toHaveLength(requests.length - 1);
      const other = await draw(loaded().model, { ...shapeRequests('txt2img'), seed: 2 });
      expect(bytesOf(other.images).equals(bytesOf(first))).toBe(false);
      if (shape.noSdCli !== undefined) {
        const again = await draw(loaded().model, shapeRequests('txt2img'));
        expectSameBytes(again.images, first);
        if (row !== undefined) await reportShape(row);
        return;
      }
      // Two of the large ones do not fit beside each other.
      await loaded().model.dispose();
      for (const [index, request] of requests.entries()) {
        expectSameBytes(ours[index] ?? [], await drawWithSdCli(scratch, loaded().load, request));
      }
      if (row !== undefined) await reportShape(row);
    });
  });
}

async function writeFiles(
  files: Partial<Record<keyof ModelFileOptions, ShapeFile>>,
  scratch: Scratch,
  { weightType, threads = 1 }: ShapeCase,
): Promise<ParityLoad> {
  const paths: Partial<Record<keyof ModelFileOptions, string>> = {};
  for (const [field, { kind, gguf }] of Object.entries(files)) {
    const path = scratch.path(`${field}.${gguf === undefined ? 'safetensors' : 'gguf'}`);
    await writeSynthetic(kind, path, { seed: 1, ...(gguf === undefined ? {} : { type: gguf }) });
    paths[field as keyof ModelFileOptions] = path;
  }
  return { ...paths, rng: 'cpu', threads, ...(weightType === undefined ? {} : { weightType }) };
}

function bytesOf(images: readonly RawImage[]): Buffer {
  return Buffer.concat(images.map(({ data }) => data));
}
