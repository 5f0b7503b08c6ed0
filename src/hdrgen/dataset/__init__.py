"""Frames: rendered or taken in, repaired, split, encoded, captioned, and made into pairs that models learn from."""
