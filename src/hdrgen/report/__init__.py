"""One page about a run of the pipeline: figures, curves, pictures, what produced them and what changed."""
