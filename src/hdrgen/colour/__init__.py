"""Colour as specifications: arrays in, arrays out, no files.

Every array is float and any shape; RGB arrays carry their three components last.
"""
