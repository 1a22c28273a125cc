"""Published recognisers of other groups as rows of our tables: their weights, our utterances and scoring."""
