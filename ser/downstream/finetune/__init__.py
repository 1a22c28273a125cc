"""Fine-tuning end to end: an encoder, its layers, pooling and head, from audio."""
