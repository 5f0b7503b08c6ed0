"""What stages and commands run on: typed parameters, errors, progress, worker processes, whole files."""
