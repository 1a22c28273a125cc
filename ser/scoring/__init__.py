"""From predictions on disk to numbers with intervals, tables, plots and the report."""
