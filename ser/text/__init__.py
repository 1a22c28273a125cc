"""Transcripts: sentence embeddings of any Hugging Face text encoder, and recognition where there are none."""
