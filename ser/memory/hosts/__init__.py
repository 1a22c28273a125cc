"""Hosts: what turns an utterance into audio tokens, and tokens into a prediction; memory edits the tokens."""
