"""The three narrow networks, as modules of diffusers and transformers."""

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel

UNET_WIDTHS = (64, 128, 256)
UNET_RATIO = 5  # to 320, 640, 1280
TEXT_WIDTH = 96
TEXT_RATIO = 8  # to 768
TEXT_LAYERS = 2
TAE_CHANNELS = 32
VOCABULARY = 49408


def make_autoencoder() -> AutoencoderTiny:
    """Pictures [n, 3, h, w] in [-1, 1] to latents [n, 4, h/8, w/8] and back."""
    channels = (TAE_CHANNELS,) * 4
    return AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels)


def make_unet() -> UNet2DConditionModel:
    """Latents [n, 4, h, w], timesteps [n], conditioning [n, 77, 96] to the predicted noise [n, 4, h, w]."""
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=UNET_WIDTHS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,  # in SD1 this field is the number of heads
    )
    if not torch.cuda.is_available():
        # PyTorch's fused attention is slow on CPUs for heads 8 wide; plain products trained faster in bf16.
        unet.set_attn_processor(AttnProcessor())
    return unet


def make_text_encoder(vocabulary: int = VOCABULARY) -> CLIPTextModel:
    """Token ids [n, 77] to conditioning [n, 77, 96] (`last_hidden_state`).

    Training uses a vocabulary of the few hundred rows it needs: the full table would double the optimizer's work.
    """
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=12,
            max_position_embeddings=77,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
            bos_token_id=0,  # these three only steer the pooled output, which SD1 does not use
            eos_token_id=0,
            pad_token_id=None,
        )
    )
