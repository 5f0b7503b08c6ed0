"""The models as ONNX graphs that say what light they take and give."""
