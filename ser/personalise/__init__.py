"""What is fitted to a speaker: speaker vectors, similar speakers, label distribution calibration (PLDC)."""
