"""What is on disk: data directories, label tables, arks, audio, splits."""
