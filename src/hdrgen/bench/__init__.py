"""How fast the commands are, against what this machine can do and against others' programs."""
