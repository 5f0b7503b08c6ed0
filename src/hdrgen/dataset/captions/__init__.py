"""Captions: a frame becomes words, said by a vision-language model, by the scene itself, or by a person."""
