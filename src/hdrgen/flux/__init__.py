"""FLUX checkpoints: where they come from, what they are made of, and how pictures get in and out of them."""
