"""The table of options. Each option is declared here, and nowhere else."""
