"""torch.hub entry points: one function per public model.

    torch.hub.load("amfzoo/amfzoo", "amf_small", pretrained=True, trust_repo=True)

Arguments are those of `amfzoo.create_model`.
"""

import os as _os
import warnings as _warnings
from functools import partial as _partial

import amfzoo as _amfzoo
from amfzoo.registry import list_models as _list_models

dependencies = ["torch", "torchvision", "timm", "huggingface_hub", "safetensors", "PIL", "numpy", "tqdm", "filelock"]

_HERE = _os.path.dirname(_os.path.abspath(__file__))
_FOUND = _os.path.dirname(_os.path.dirname(_os.path.abspath(_amfzoo.__file__)))
if _os.path.realpath(_FOUND) != _os.path.realpath(_HERE):
    _warnings.warn(
        f"another amfzoo ({_amfzoo.__version__}, {_FOUND}) was imported before this hub repository ({_HERE}) "
        "and will be used: start a new Python process to use this one",
        stacklevel=2,
    )


def _entry(_name, pretrained=None, **settings):
    from amfzoo import create_model

    return create_model(_name, pretrained, **settings)


def _entry_point(name):
    function = _partial(_entry, name)
    function.__name__ = name
    function.__doc__ = f"`{name}`; keywords as in `amfzoo.create_model`: pretrained, tasks, device, any setting."
    return function


globals().update({_name: _entry_point(_name) for _name in _list_models()})
