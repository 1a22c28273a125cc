"""Checks of data directories: what has ruined other people's results is found before training."""
