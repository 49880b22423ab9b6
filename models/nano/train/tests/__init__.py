"""`python -m unittest discover -s train/tests -t .` in models/nano; needs PyTorch, no font and no GPU."""
