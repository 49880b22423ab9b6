"""A model of SDXL-Vega's shape with seeded weights, in diffusers' and transformers' modules.

The weights are those of a checkpoint with the original names: a tensor's values depend on its name there, so every
module is filled by the original name of each of its tensors.
"""

import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from seeded import fill

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
UNET_ENDS = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
             "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
             "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def resnet_name(rest):
    part, _, leaf = rest.rpartition(".")
    return f"{RESNET[part]}.{leaf}"


def unet_name(name):
    part, _, leaf = name.rpartition(".")
    if part in UNET_ENDS:
        return f"{UNET_ENDS[part]}.{leaf}"
    if match := re.fullmatch(r"mid_block\.resnets\.0\.(.+)", name):
        return f"middle_block.0.{resnet_name(match[1])}"
    side, level, kind, index, rest = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", name).groups()
    level, index = int(level), int(index)
    # Two residual blocks and a change of size a level on the way down, three blocks on the way up.
    blocks, number = ("input_blocks", 3 * level + index + 1) if side == "down" else ("output_blocks", 3 * level + index)
    if kind == "resnets":
        return f"{blocks}.{number}.0.{resnet_name(rest)}"
    if kind == "attentions":
        return f"{blocks}.{number}.1.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{3 * (level + 1)}.0.op.{leaf}"
    return f"output_blocks.{3 * level + 2}.2.conv.{leaf}"


def make_unet():
    # The deepest level comes first on the way up; each has as many transformer blocks as on the way down.
    return UNet2DConditionModel(
        sample_size=16, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def vae_name(name):
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    return re.sub(r"mid_block\.attentions\.0\.(.+)\.(\w+)$", lambda m: f"mid.attn_1.{VAE_ATTENTION[m[1]]}.{m[2]}", name)


def make_vae():
    blocks = 4
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks,
    )


def clip_config(width, layers, heads, activation, projection):
    return CLIPTextConfig(
        vocab_size=49408, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=77, hidden_act=activation, layer_norm_eps=1e-5,
        projection_dim=projection, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )


class Weights:
    """Tensors of a checkpoint by their original names."""

    def __init__(self, seed, gains):
        self.seed, self.gains = seed, gains

    def tensor(self, name, shape):
        return fill(self.seed, self.gains, name, tuple(shape)).float()

    def load(self, module, prefix, rename):
        state = {name: self.tensor(prefix + rename(name), value.shape) for name, value in module.state_dict().items()}
        module.load_state_dict(state, strict=True)
        return module.eval()


def text_name(name):
    """transformers moved the encoder from `text_model.` to the top between versions."""
    return name if name.startswith("text_projection.") else f"text_model.{name.removeprefix('text_model.')}"


def make_text_encoders(weights):
    small = CLIPTextModel(clip_config(768, 12, 12, "quick_gelu", 768))
    large = CLIPTextModelWithProjection(clip_config(1280, 32, 20, "gelu", 1280))
    return (weights.load(small, "conditioner.embedders.0.transformer.", text_name),
            weights.load(large, "conditioner.embedders.1.transformer.", text_name))


@torch.no_grad()
def encode_prompt(text_encoders, ids):
    """(context [1, 77, 2048], pooled [1, 1280]): the last layer but one of both, and the projection of the second."""
    small, large = text_encoders
    end = int((ids[0] == 49407).nonzero()[0])
    # The second tokenizer fills up with token 0, the first with the end of text.
    padded = ids.clone()
    padded[0, end + 1:] = 0
    first = small(ids, output_hidden_states=True).hidden_states[-2]
    second = large(padded, output_hidden_states=True)
    return torch.cat([first, second.hidden_states[-2]], dim=-1), second.text_embeds


def load_sdxl(seed, gains):
    weights = Weights(seed, gains)
    return (
        make_text_encoders(weights),
        weights.load(make_unet(), "model.diffusion_model.", unet_name),
        weights.load(make_vae(), "first_stage_model.", vae_name),
    )
