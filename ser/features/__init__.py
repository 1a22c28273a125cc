"""Hidden states -> arks: pooled statistics and frames, resumable."""
