"""From features, or from audio, to labels: models, losses, folds, training and prediction."""
