"""Frames: rendered or taken in, repaired, split, and encoded."""
