"""Lets the torchvision of PyPI, built for CUDA, be imported beside a torch without it, in every process of vLLM.

At its import it registers stand-ins for operators that its own compiled library declares, and that library cannot be
loaded without CUDA. So they are declared here, just before. What vLLM needs of torchvision is plain Python.
"""

import importlib.abc
import sys


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    def find_spec(self, name, _path=None, _target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch  # noqa: PLC0415

            if torch.version.cuda is None:
                self.kept = torch.library.Library("torchvision", "DEF")
                for operator in ("nms", "qnms"):
                    self.kept.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                sys.modules["_torchvision_operators"] = self  # the declarations live as long as their library


sys.meta_path.insert(0, _BeforeTorchvision())
