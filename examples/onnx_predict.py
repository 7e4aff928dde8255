"""Predict photos with an exported network: python onnx_predict.py model.onnx photo.jpg ...

Needs onnxruntime and Pillow, neither torch nor this package.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
about = {
    name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()
}
for path in sys.argv[2:]:
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    photo = photo.resize((about["size"], about["size"]), Image.Resampling.BILINEAR)
    (scores,) = session.run(["probabilities"], {"images": np.asarray(photo)[np.newaxis]})[0]
    best = int(scores.argmax())
    if about["threshold"] is not None:
        positive = about["classes"].index(about["positive"])
        best = positive if scores[positive] >= about["threshold"] else 1 - positive
    print(path, about["classes"][best], *(f"{score:.4f}" for score in scores))
