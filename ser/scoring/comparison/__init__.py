"""Systems on the same utterances: paired tests, correction for their number, ranks, curves by position."""
