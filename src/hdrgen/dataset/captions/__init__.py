"""Captions of frames: by a vision-language model, by the description of a simulated scene, or by a person."""
