"""What each model is worth on test frames, beside closed forms and as ONNX; and what text to EXR makes of prompts.

`production` measures whether pictures would survive production, beside real footage and plain 8-bit input.
"""
