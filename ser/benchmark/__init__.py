"""One command for a grid of experiments: recipes by upstreams, configurations and seeds."""
