"""What a model is told beside the sound: the speaker, gender, words."""
