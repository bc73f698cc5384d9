"""The data set that a workload names, cut to its limits, as files for engines."""

from harness.data.cache import DataSet, cache_folder, cut, dataset_folder, open_dataset
from harness.data.local import local_names, make_local
from harness.data.shipped import open_mnist
from harness.errors import DataError


def load(name: str, *, train_limit: int | None = None, test_limit: int | None = None) -> DataSet:
    """Open data set `name` with its first `train_limit` and `test_limit` images (all if None).

    Raises: DataError if it is not here and cannot be made here, naming those that are.
    """
    if name == "mnist":
        return cut(open_mnist(), train=train_limit, test=test_limit)
    if not (dataset_folder(name) / "dataset.json").exists() and make_local(name) is None:
        raise DataError(
            f"data set '{name}' is not here; here are: {', '.join(available())}. "
            "`bench data list` shows what `bench data fetch` and `bench data import` can add."
        )
    return cut(open_dataset(name), train=train_limit, test=test_limit)


def available() -> list[str]:
    """Names of the data sets that can be opened without fetching anything."""
    cached = (meta.parent.name for meta in cache_folder().glob("*/dataset.json"))
    return sorted({"mnist", *cached, *local_names()})
