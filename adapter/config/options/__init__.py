"""The table of options, in four parts. Each option is declared here once and nowhere else."""
