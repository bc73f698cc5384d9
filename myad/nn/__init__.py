"""Neural networks: layers as data, and models made of them."""

from myad.nn.activations import ACTIVATIONS, activation
from myad.nn.layer import Layer, Parameter
from myad.nn.layers import (
    LAYERS,
    Activation,
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPool2D,
    layer_from,
)
from myad.nn.sequential import Sequential
from myad.nn.training_layers import BatchNormalization, Dropout

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "Activation",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "Layer",
    "MaxPool2D",
    "Parameter",
    "Sequential",
    "activation",
    "layer_from",
]
