"""Personalised adaptive pre-training: units, masking and loss, pre-training, unseen speakers."""
