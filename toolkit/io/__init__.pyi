from .images import ImageLimits as ImageLimits, decode as decode, read_image as read_image
from .manifest import (
    Manifest as Manifest,
    Sample as Sample,
    read_manifest as read_manifest,
    write_manifest as write_manifest,
)
