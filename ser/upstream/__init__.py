"""Encoders behind one interface, batched exactly: S3PRL, Hugging Face, openSMILE."""
