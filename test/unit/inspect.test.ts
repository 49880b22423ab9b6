import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectModel } from '../../lib/model/inspect.js';
import type { NativeInspection, NativeModelFiles } from '../../lib/native/contract.js';
import { failure, gguf, safetensors, safetensorsOf, torchZip, Workshop } from '../support/formatFixtures.js';

const shop = new Workshop();
beforeAll(() => shop.open());
afterAll(() => shop.close());

/** An addon that answers with one architecture and remembers what it was asked. */
function engine(architecture: string) {
  const asked: NativeModelFiles[] = [];
  const inspect = (files: NativeModelFiles) => {
    asked.push(files);
    return { promise: Promise.resolve<NativeInspection>({ architecture, tensors: [] }), cancel: () => undefined };
  };
  return { asked, inspect };
}

const checkpoint = {
  'model.diffusion_model.input_blocks.0.0.weight': [8, 4, 3, 3],
  'first_stage_model.decoder.conv_in.weight': [4, 4],
  'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight': [10, 768],
};

describe('inspectModel', () => {
  it('tells what a checkpoint has', async () => {
    const path = await shop.file(safetensorsOf(checkpoint, { license: 'x' }));
    const native = engine('SD 1.x');
    const info = await inspectModel(pathToFileURL(path), { native });
    const counts = Object.values(checkpoint).map((shape) => shape.reduce((product, value) => product * value, 1));
    const total = counts.reduce((sum, value) => sum + value, 0);
    expect(info).toMatchObject({
      format: 'safetensors',
      kind: 'checkpoint',
      architecture: 'SD 1.x',
      components: ['diffusionModel', 'vae', 'textEncoders'],
      parameters: total,
      dtypes: { F16: { tensors: 3, parameters: total, bytes: 2 * total } },
      files: [{ field: 'path', path, format: 'safetensors', bytes: info.bytes }],
    });
    expect({ ...info.metadata }).toEqual({ license: 'x' });
    expect(info.tensors.map((tensor) => tensor.name)).toEqual(Object.keys(checkpoint));
    expect(native.asked).toEqual([{ checkpoint: path }]);
    expect(() => JSON.stringify(info)).not.toThrow();
  });

  it.each([
    ['lora', { 'lora_unet_down_blocks_0.lora_down.weight': [4, 8], 'lora_unet_down_blocks_0.alpha': [] }],
    ['lora', { 'unet.down_blocks.0.attn1.to_q.lora_A.weight': [4, 8] }],
    ['lora', { 'transformer.blocks.0.attn.hada_w1_a': [4, 8] }],
    ['lora', { 'unet.down_blocks.0.to_q.lora_linear_layer.up.weight': [4, 8] }],
    ['embedding', { emb_params: [2, 768] }],
    ['embedding', { clip_g: [2, 1280], clip_l: [2, 768] }],
    ['hypernetwork', { '768.0.linear.0.weight': [4, 4], '768.1.linear.0.weight': [4, 4] }],
    ['vae', { 'first_stage_model.decoder.conv_in.weight': [4, 4] }],
    ['vae', { 'decoder.conv_in.weight': [4, 4], 'encoder.conv_in.weight': [4, 4] }],
    ['taesd', { 'decoder.layers.0.weight': [4, 4], 'decoder.layers.2.conv.0.weight': [4, 4] }],
    ['taesd', { 'decoder.1.weight': [4, 4], 'decoder.3.conv.0.weight': [4, 4] }],
    ['controlnet', { 'control_model.zero_convs.0.0.weight': [4, 4] }],
    ['controlnet', { 'controlnet_cond_embedding.conv_in.weight': [4, 4], 'down_blocks.0.resnets.0.conv1.weight': [4] }],
    ['upscaler', { 'model.0.weight': [4, 4], 'model.1.sub.0.RDB1.conv1.0.weight': [4, 4] }],
    ['upscaler', { 'conv_first.weight': [4, 4], 'body.0.rdb1.conv1.weight': [4, 4] }],
    ['textEncoder', { 'text_model.embeddings.token_embedding.weight': [4, 4] }],
    ['textEncoder', { 'encoder.block.0.layer.0.SelfAttention.q.weight': [4, 4], 'shared.weight': [4, 4] }],
    ['textEncoder', { 'model.layers.0.self_attn.q_proj.weight': [4, 4] }],
    ['clipVision', { 'vision_model.embeddings.class_embedding': [4] }],
    ['diffusionModel', { 'double_blocks.0.img_attn.qkv.weight': [4, 4] }],
    ['diffusionModel', { 'conv_in.weight': [4, 4], 'down_blocks.0.resnets.0.conv1.weight': [4, 4] }],
    ['checkpoint', checkpoint],
    ['unknown', { 'something.else': [4] }],
  ])('recognises: %s', async (kind, shapes) => {
    expect((await inspectModel(await shop.file(safetensorsOf(shapes)))).kind).toBe(kind);
  });

  it('counts elements of quantised tensors, and asks the engine about a lone diffusion model as one', async () => {
    const tensors = [{ name: 'double_blocks.0.img_mod.lin.weight', dims: [64, 2], type: 8, offset: 0 }];
    const path = await shop.file(gguf({ tensors, data: 136 }));
    const native = engine('Flux');
    const info = await inspectModel(path, { native });
    expect(info).toMatchObject({
      format: 'gguf',
      kind: 'diffusionModel',
      parameters: 128,
      dtypes: { q8_0: { bytes: 136 } },
    });
    expect(native.asked).toEqual([{ diffusionModel: path }]);
  });

  it('reads a ckpt, and does not ask the engine about an embedding', async () => {
    const path = await shop.file(torchZip([{ name: '*', storage: '0', elements: 1536, shape: [2, 768] }]));
    const native = engine('SD 1.x');
    const info = await inspectModel(path, { native });
    expect(info).toMatchObject({ format: 'ckpt', kind: 'embedding', architecture: null, parameters: 1536 });
    expect(native.asked).toEqual([]);
  });

  it('has a null architecture without the addon, and when the engine knows none', async () => {
    const path = await shop.file(safetensorsOf(checkpoint));
    expect((await inspectModel(path)).architecture).toBeNull();
    expect((await inspectModel(path, { native: engine('') })).architecture).toBeNull();
  });

  it('joins the files of a model', async () => {
    const diffusionModel = await shop.file(safetensorsOf({ 'double_blocks.0.a': [4] }, { who: 'first' }));
    const clipL = await shop.file(
      gguf({ tensors: [{ name: 'blk.0.attn_q.weight', dims: [32], type: 0, offset: 0 }], data: 128 }),
    );
    const native = engine('Flux');
    const info = await inspectModel({ diffusionModel, clipL }, { native });
    expect(info).toMatchObject({
      format: 'mixed',
      kind: 'checkpoint',
      architecture: 'Flux',
      components: ['diffusionModel', 'textEncoders'],
      parameters: 36,
    });
    expect(info.files.map((file) => file.field)).toEqual(['diffusionModel', 'clipL']);
    expect(native.asked).toEqual([{ diffusionModel, clipL }]);
    await failure(inspectModel({ diffusionModel, vae: join(shop.directory, 'none') }), 'ERR_MODEL_NOT_FOUND', '"vae"');
  });

  it('reads a diffusers directory with the names the engine gives', async () => {
    await mkdir(join(shop.directory, 'pipe', 'unet'), { recursive: true });
    await mkdir(join(shop.directory, 'pipe', 'text_encoder'), { recursive: true });
    await shop.file(safetensorsOf({ 'conv_in.weight': [4, 4] }), 'pipe/unet/diffusion_pytorch_model.safetensors');
    await shop.file(safetensorsOf({ 'text_model.x': [4] }), 'pipe/text_encoder/model.safetensors');
    const info = await inspectModel(join(shop.directory, 'pipe'));
    expect(info).toMatchObject({
      format: 'diffusers',
      kind: 'checkpoint',
      components: ['diffusionModel', 'textEncoders'],
    });
    expect(info.tensors.map((tensor) => tensor.name)).toEqual(['unet.conv_in.weight', 'te.text_model.x']);
  });

  it('refuses what is no path, and damaged files', async () => {
    for (const bad of [7, null, {}, { checkpont: 'x' }, { checkpoint: 'x', vea: 'y' }, ['x']]) {
      await failure(inspectModel(bad as unknown as string), 'ERR_INVALID_OPTION');
    }
    await failure(inspectModel(await shop.file(safetensors('{"a"', 0))), 'ERR_MODEL_CORRUPT', '"path"');
  });

  it('types the errors of the addon', async () => {
    const path = await shop.file(safetensorsOf(checkpoint));
    const failing = (error: Error) => ({
      inspect: () => ({ promise: Promise.reject<NativeInspection>(error), cancel: () => undefined }),
    });
    const coded = Object.assign(new Error('no memory'), { code: 'ERR_OUT_OF_MEMORY' });
    expect(
      await failure(inspectModel(path, { native: failing(coded) }), 'ERR_OUT_OF_MEMORY', 'no memory'),
    ).toHaveProperty('cause', coded);
    await failure(inspectModel(path, { native: failing(new Error('odd')) }), 'ERR_ENGINE', 'odd');
  });

  it('cancels the native work and rejects with the reason of the signal', async () => {
    const path = await shop.file(safetensorsOf(checkpoint));
    const controller = new AbortController();
    const reason = new Error('stop');
    let cancelled = 0;
    const inspect = () => {
      let reject: (error: Error) => void = () => undefined;
      const promise = new Promise<NativeInspection>((_, fail) => {
        reject = fail;
      });
      setImmediate(() => {
        controller.abort(reason);
      });
      return {
        promise,
        cancel: () => (cancelled++, reject(Object.assign(new Error('aborted'), { code: 'ERR_ABORTED' }))),
      };
    };
    await expect(inspectModel(path, { native: { inspect }, signal: controller.signal })).rejects.toBe(reason);
    expect(cancelled).toBe(1);
    await expect(inspectModel(path, { signal: controller.signal })).rejects.toBe(reason);
  });
});
