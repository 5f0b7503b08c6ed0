"""The models over whole pictures of any size: arrays in, arrays out."""
