"""Parts of report.html that only some experiments have: each is there when its data are, and absent else."""
