"""Small files beside the model: a style LoRA, a textual-inversion embedding, a hypernetwork."""
