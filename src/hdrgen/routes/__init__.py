"""The ways to an EXR, from files to files: what the command line, ComfyUI and the web page call."""
