"""The paired samples the models learn from, clean and generated-like."""
