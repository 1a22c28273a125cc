"""Models on features: layer weights, pooling, heads, losses, training and prediction."""
