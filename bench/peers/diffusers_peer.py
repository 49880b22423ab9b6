"""diffusers and torch on the CPU, in float32."""

import diffusers
import torch
import transformers

from clip_vocabulary import prompt_ids
from euler import draw
from protocol import serve
from sd1 import load_modules


@torch.no_grad()
def picture(modules, request):
    return draw(
        request,
        lambda prompt: modules.text_encoder(prompt_ids(modules.tokenizer, prompt)).last_hidden_state,
        lambda latents, time, contexts: modules.unet(latents, time, encoder_hidden_states=contexts).sample,
        modules.decoder,
    )


if __name__ == "__main__":
    serve({"diffusers": diffusers.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
           "type": "float32", "device": "CPU"}, load_modules, picture)
