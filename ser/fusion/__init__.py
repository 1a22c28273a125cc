"""Several trained systems as one: rules, weights on the simplex, and the experiment that comes of it."""
