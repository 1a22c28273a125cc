"""The model card that every experiment gets."""
