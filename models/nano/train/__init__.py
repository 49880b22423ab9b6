"""Training of the embedded model: data, autoencoder, UNet with text encoder, measure, companions. See README.md."""
