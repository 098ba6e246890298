"""Runs the ONNX checker, with shape inference, over every model below a folder."""

import pathlib
import sys

import onnx

paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.onnx"))
if not paths:
    sys.exit("no models found")
for path in paths:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    print("ok", path.relative_to(sys.argv[1]))
print(f"{len(paths)} models passed onnx {onnx.__version__}'s checker")
