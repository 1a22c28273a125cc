"""Experiments, and what papers say, as tables: Markdown, csv, LaTeX, HTML; whether pages still show them."""
