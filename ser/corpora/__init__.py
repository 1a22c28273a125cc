"""One file a corpus: raw release -> data directory, with licence, link and expected counts."""
