"""Data sets known by name: what they are, where they come from, what their files must be.

Checksums are those of the files as published, from the publishers and from the loaders of Keras,
TensorFlow Datasets and torchvision, which agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.data.convert import cifar10_arrays, emnist_digits_arrays, idx_arrays

Paths = Mapping[str, Path]


@dataclass(frozen=True)
class Source:
    """One data set that can be had by name.

    mirrors: addresses, each ending in "/", tried in this order. files: SHA-256 by file name.
    convert: from the fetched files, by name, to the four arrays. folders: where a system package
    puts the same files. contents: SHA-256 of the unpacked files, for those.
    """

    name: str
    summary: str
    licence: str
    classes: int
    mirrors: tuple[str, ...]
    files: dict[str, str]
    convert: Callable[[Paths], dict[str, np.ndarray]]
    max_bytes: int
    folders: tuple[Path, ...] = ()
    contents: dict[str, str] = field(default_factory=dict)


FASHION_MNIST = Source(
    name="fashion-mnist",
    summary="70,000 pictures of clothes, 28x28, ten kinds (Xiao et al. 2017)",
    licence="MIT",
    classes=10,
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    files={
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
    convert=idx_arrays,
    max_bytes=64 << 20,
    folders=(Path("/usr/share/datasets/fashion-mnist"),),  # Debian: dataset-fashion-mnist
    contents={  # packed anew by Debian, so only what is inside can be compared
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
)
KMNIST = Source(
    name="kmnist",
    summary="70,000 handwritten Japanese characters, 28x28, ten classes (Clanuwat et al. 2018)",
    licence="CC BY-SA 4.0",
    classes=10,
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
    files={
        "train-images-idx3-ubyte.gz": (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"
        ),
        "train-labels-idx1-ubyte.gz": (
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"
        ),
    },
    convert=idx_arrays,
    max_bytes=64 << 20,
)
EMNIST_DIGITS = Source(
    name="emnist-digits",
    summary="280,000 handwritten digits, 28x28 (Cohen et al. 2017)",
    licence="public domain (NIST)",
    classes=10,
    mirrors=(
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "http://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    ),
    files={"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
    convert=emnist_digits_arrays,
    max_bytes=1 << 30,
)
CIFAR10 = Source(
    name="cifar-10",
    summary="60,000 colour photographs, 32x32, ten classes (Krizhevsky 2009)",
    licence="none stated",
    classes=10,
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    # the binary edition: the one for Python is a pickle, which could run anything
    files={
        "cifar-10-binary.tar.gz": (
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        )
    },
    convert=cifar10_arrays,
    max_bytes=256 << 20,
)
SOURCES = {source.name: source for source in (FASHION_MNIST, KMNIST, EMNIST_DIGITS, CIFAR10)}
