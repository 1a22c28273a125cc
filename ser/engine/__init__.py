"""The training loop, checkpoints and early stopping; knows nothing of the task."""
