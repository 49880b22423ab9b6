import { describe, expect, it } from 'vitest';
import type { NativeTensorInfo } from '../../lib/native/index.js';
import { blockFactors } from '../../lib/weights/blocks.js';
import { groupModules } from '../../lib/weights/keys.js';
import { dotted } from '../../lib/weights/mapping.js';
import { blockOf, TensorIndex } from '../../lib/weights/tensorIndex.js';

const tensor = (name: string, shape: readonly number[] = [8, 4]): NativeTensorInfo => ({ name, type: 'f16', shape });
const unet = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0';
const clip = 'cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj';
const clipG = 'cond_stage_model.1.transformer.text_model.encoder.layers.0.self_attn.in_proj';
const flux = 'model.diffusion_model.double_blocks.0.img_attn.qkv';
const index = new TensorIndex([
  tensor(`${unet}.weight`),
  tensor(`${unet}.bias`, [8]),
  tensor(`${clip}.weight`),
  tensor(`${clipG}.weight`, [12, 4]),
  tensor(`${flux}.weight`, [12, 4]),
  tensor('model.diffusion_model.double_blocks.0.img_attn.norm.query_norm.scale', [4]),
]);

describe('names of modules', () => {
  it.each([
    ['lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0', `${unet}.weight`],
    ['oft_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0', `${unet}.weight`],
    ['lycoris_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0', `${unet}.weight`],
    ['diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0', `${unet}.weight`],
    ['model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0', `${unet}.weight`],
    ['base_model.model.unet.input_blocks.1.1.transformer_blocks.0.attn1.to_out', `${unet}.weight`],
    ['lora_te_text_model_encoder_layers_0_self_attn_q_proj', `${clip}.weight`],
    ['lora_te1_text_model_encoder_layers_0_self_attn_q_proj', `${clip}.weight`],
    ['text_encoder.text_model.encoder.layers.0.self_attn.q_proj', `${clip}.weight`],
    ['lora_unet_double_blocks_0_img_attn_qkv', `${flux}.weight`],
    ['transformer.double_blocks.0.img_attn.qkv', `${flux}.weight`],
  ])('%s', (base, name) => {
    expect(index.own(base)?.weight?.tensor.name).toBe(name);
  });

  it('a projection of a fused tensor is a slice of it', () => {
    const places = ['q', 'k', 'v'].map((name) =>
      index.own(`lora_te2_text_model_encoder_layers_0_self_attn_${name}_proj`),
    );
    expect(places.map((place) => place?.weight?.tensor.name)).toEqual(Array(3).fill(`${clipG}.weight`));
    expect(places.map((place) => place?.weight?.slice)).toEqual([0, 1, 2]);
    expect(index.converted(`${flux}.weight.2`)?.weight).toMatchObject({ slice: 2 });
  });

  it('the first part of a fused tensor has no number in the tables', () => {
    expect(index.converted(`${flux}.weight`, true)?.weight).toMatchObject({ slice: 0 });
    expect(index.converted(`${flux}.weight`)?.weight?.slice).toBeUndefined();
    expect(index.converted(`${unet}.weight`, true)?.weight?.slice).toBeUndefined();
  });

  it('a modulation without a gate is swapped under converted names only', () => {
    const name = 'model.diffusion_model.final_layer.adaLN_modulation.1';
    const other = 'model.diffusion_model.joint_blocks.0.x_block.adaLN_modulation.1';
    const own = new TensorIndex([
      tensor(`${name}.weight`),
      tensor(`${name}.bias`, [8]),
      tensor(`${other}.weight`, [24, 4]),
    ]);
    expect(own.converted(`${name}.weight`)).toMatchObject({ weight: { isSwapped: true }, bias: { isSwapped: true } });
    expect(own.converted(`${other}.weight`)?.weight?.isSwapped).toBeUndefined();
    expect(own.own(name)?.weight?.isSwapped).toBeUndefined();
  });

  it.each([
    [
      'lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0',
      'down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0',
    ],
    ['lora_transformer_single_transformer_blocks_3_norm_linear', 'single_transformer_blocks.3.norm.linear'],
    ['lycoris_transformer_blocks_0_ff_context_net_0_proj', 'transformer_blocks.0.ff_context.net.0.proj'],
    ['lora_transformer_transformer_blocks_0_norm1_context_linear', 'transformer_blocks.0.norm1_context.linear'],
    [
      'oft_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k',
      'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k',
    ],
    ['lora_unet_noise_refiner_1_attention_to_out_0', 'noise_refiner.1.attention.to_out.0'],
    ['lora_te1_text_model_final', 'lora_te1_text_model_final'],
    ['transformer.proj_out', 'transformer.proj_out'],
  ])('%s with dots', (base, name) => {
    expect(dotted(base)).toBe(name);
  });

  it('weights, biases and scales of norms', () => {
    expect(index.own(unet)?.bias?.tensor.name).toBe(`${unet}.bias`);
    expect(index.own('diffusion_model.double_blocks.0.img_attn.norm.query_norm')?.weight?.tensor.shape).toEqual([4]);
    expect(index.own('lora_unet_nothing')).toBeUndefined();
  });
});

describe('keys', () => {
  const header = (name: string) => ({ name, dtype: 'F32', shape: [1], offset: 0, bytes: 4 });

  it.each([
    ['m.lora_up.weight', 'm', 'up'],
    ['m.lora_A.weight', 'm', 'down'],
    ['m.lora_B.default.weight', 'm', 'up'],
    ['m.processor.to_q_lora.down.weight', 'm.processor.to_q', 'down'],
    ['m.hada_w1_a', 'm', 'w1_a'],
    ['m.lokr_w2', 'm', 'w2'],
    ['m.dora_scale', 'm', 'dora'],
    ['m.diff_b', 'm', 'diff_b'],
    ['m.oft_blocks', 'm', 'blocks'],
    ['m.oft_diag', 'm', 'rotations'],
    ['m.a1.weight', 'm', 'a1'],
  ])('%s', (key, base, part) => {
    const { modules, rest } = groupModules([header(key)]);
    expect(rest).toEqual([]);
    expect(modules.map((module) => [module.base, [...module.parts.keys()]])).toEqual([[base, [part]]]);
  });

  it('what has no known form is told', () => {
    expect(groupModules([header('emb_params')]).rest).toEqual(['emb_params']);
  });
});

describe('block weights', () => {
  const known = new Set(['BASE', 'IN04', 'M00', 'OUT11', 'double_blocks.3']);

  it('names blocks as people do', () => {
    expect(blockOf('model.diffusion_model.input_blocks.4.0.in_layers.0.weight')).toBe('IN04');
    expect(blockOf('model.diffusion_model.middle_block.1.norm.weight')).toBe('M00');
    expect(blockOf('model.diffusion_model.output_blocks.11.0.in_layers.0.weight')).toBe('OUT11');
    expect(blockOf('model.diffusion_model.double_blocks.3.img_attn.qkv.weight')).toBe('double_blocks.3');
    expect(blockOf('cond_stage_model.transformer.text_model.final_layer_norm.weight')).toBe('BASE');
  });

  it('lists of the extension, and names', () => {
    const list = blockFactors([1, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25], known);
    expect(list('model.diffusion_model.input_blocks.5.1.norm.weight')).toBe(0.5);
    expect(list('model.diffusion_model.output_blocks.11.1.norm.weight')).toBe(0.25);
    expect(list('cond_stage_model.transformer.x')).toBe(1);
    const named = blockFactors({ in04: 0.5, mid: 0 }, known);
    expect(named('model.diffusion_model.input_blocks.4.1.norm.weight')).toBe(0.5);
    expect(named('model.diffusion_model.middle_block.1.norm.weight')).toBe(0);
    expect(named('model.diffusion_model.output_blocks.11.1.norm.weight')).toBe(1);
  });

  it('refuses other lengths and blocks that are not there', () => {
    expect(() => blockFactors([1, 2], known)).toThrow(/12, 17, 20 or 26/);
    expect(() => blockFactors({ IN05: 1 }, known)).toThrow(/IN04/);
  });
});
