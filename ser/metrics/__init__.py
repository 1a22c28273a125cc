"""Arrays in, numbers out: categorical and continuous metrics, and the sums that they follow from."""
