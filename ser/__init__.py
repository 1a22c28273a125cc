"""Speech emotion recognition recipes: Kaldi-style stages on S3PRL and Hugging Face upstreams."""

__version__ = "0.1.0"
