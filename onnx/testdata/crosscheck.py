"""Compares re-encoded ONNX models with the reference implementation.

usage: crosscheck.py FOLDER

FOLDER holds pairs NAME.in.onnx, a model as somebody wrote it, and NAME.out.onnx, the same
model after onnx.Decode and onnx.Encode; and models NAME.out.onnx without a pair. Checks that
- the bytes of each .out.onnx are what Python's protobuf writes for it,
- the pair is equal: every field, tensors by their elements; only empty strings may be absent,
- onnx.checker accepts .out.onnx where it accepts .in.onnx.
Needs the Python packages onnx and numpy. Prints one line per failure; exit status 1 if any.
"""

import glob
import os
import sys

import onnx
from onnx import checker, numpy_helper

DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "raw_data")
TEXT = ("doc_string", "name", "domain", "producer_name", "producer_version", "denotation", "overload")


def normalise(m):
    kind = m.DESCRIPTOR.name
    if kind == "TensorProto" and m.data_location != 1 and m.data_type != onnx.TensorProto.STRING:
        a = numpy_helper.to_array(m)
        for f in DATA:
            m.ClearField(f)
        m.raw_data = str(a.dtype).encode() + a.tobytes()
    for f, v in list(m.ListFields()):
        if f.message_type is not None:
            for x in [v] if hasattr(v, "DESCRIPTOR") else v:
                normalise(x)
        elif f.name in TEXT and (v == "" or f.name == "domain" and v == "ai.onnx"):
            m.ClearField(f.name)


def load(name):
    with open(name, "rb") as f:
        b = f.read()
    return onnx.ModelProto.FromString(b), b


def valid(m):
    try:
        checker.check_model(m)
    except Exception as e:
        return str(e)
    return ""


def main(folder):
    failures = count = accepted = 0
    for out in sorted(glob.glob(os.path.join(folder, "*.out.onnx"))):
        count += 1
        problems = []
        m, b = load(out)
        if m.SerializeToString(deterministic=True) != b:
            problems.append("not the bytes that Python writes")
        error = valid(m)
        accepted += error == ""
        source = out.replace(".out.onnx", ".in.onnx")
        if os.path.exists(source):
            s, _ = load(source)
            if error and not valid(s):
                problems.append("refused by onnx.checker: " + error)
            normalise(s)
            normalise(m)
            if s != m:
                problems.append("differs from its source")
        elif error:
            problems.append("refused by onnx.checker: " + error)
        for p in problems:
            failures += 1
            print(f"{out}: {p}")
    print(f"onnx {onnx.__version__}: {count} models, {accepted} accepted by onnx.checker, {failures} failures")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
