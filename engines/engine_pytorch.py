"""PyTorch on the CPU, eager: the loop an experienced user writes, with nothing needless in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.contract import Skeleton

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engines import model_pytorch

EPOCH = "the profiled epoch"


class PyTorch(Skeleton):
    """Views of one tensor as batches, losses collected and read once per epoch."""

    protocol: ClassVar[int] = 2

    def imports(self) -> None:
        """PyTorch, and the model's file, which needs it."""
        global np, torch, model_pytorch
        import numpy as np
        import torch

        from engines import model_pytorch

    def configure(self) -> None:
        """Limit the threads, set the number type and the seed (dropout draws from it)."""
        torch.set_num_threads(self.job.threads)
        torch.set_num_interop_threads(self.job.threads)
        self.dtype = getattr(torch, self.job.workload.training.dtype)
        torch.set_default_dtype(self.dtype)
        torch.manual_seed(self.job.seed)

    def read_images(self, path: str) -> torch.Tensor:
        """Images scaled to [0, 1], channels first: (N, C, H, W)."""
        return model_pytorch.load_images(path, self.dtype)

    def read_labels(self, path: str) -> torch.Tensor:
        """Labels as PyTorch's loss takes them: int64."""
        return torch.from_numpy(np.load(path)).long()

    def read_order(self, path: str) -> list[torch.Tensor]:
        """Places of images as PyTorch indexes with them: int64."""
        return list(torch.from_numpy(np.load(path)).long())

    def read_rates(self, path: str) -> list[list[float]]:
        """Python's numbers, as PyTorch's operations take them."""
        return np.load(path).tolist()

    def build(self, weights: str) -> None:
        """The network with the weights of a file."""
        self.network = model_pytorch.Network(self.job.workload)
        self.network.read(weights)

    def build_training(self) -> None:
        """The optimizer."""
        parameters: list[torch.Tensor] = list(self.network.parameters())
        rates = None
        if self.job.data.learning_rates is not None:
            rates = [rate for epoch in self.rates for rate in epoch]
        self.update = model_pytorch.Update(parameters, self.job.workload.training, rates)

    def build_testing(self) -> None:
        """Switch dropout off."""
        self.network.eval()

    def epoch(self, number: int, order: torch.Tensor | None) -> float:
        """One pass over the batches; returns the mean loss per example."""
        x, y = self.images, self.labels
        if order is not None:
            x, y = x[order], y[order]
        batches = x.split(self.job.workload.training.batch_size)
        self.network.train()
        parameters: list[torch.Tensor] = list(self.network.parameters())
        losses = []
        for batch, classes in zip(batches, y.split(len(batches[0])), strict=True):
            loss = torch.nn.functional.cross_entropy(self.network.steps(batch), classes)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                self.update.apply(parameters, gradients)
            losses.append(loss.detach())
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
        return float((torch.stack(losses).double() * sizes).sum() / len(y))

    @contextmanager
    def profile(self) -> Iterator[None]:
        """`torch.profiler` on the operators, and both gradients of the convolutions one by one."""
        from torch.profiler import ProfilerActivity, record_function
        from torch.profiler import profile as profiler

        from engines import profile_pytorch
        from harness.contract import ops

        with profiler(activities=[ProfilerActivity.CPU]) as found:
            with record_function("the first one looks its operators up"):
                pass
            with record_function(EPOCH):
                yield
        events = list(found.events())
        whole = next(event for event in events if event.name == EPOCH)
        size = self.job.workload.training.batch_size
        shares = profile_pytorch.gradient_shares(self.network, self.images.split(size)[:10])
        names = [type(step).__name__ for step in self.network.steps]
        modules = list(zip(names, self.network.step_layers, strict=True))
        for event in events:  # the epoch stands around everything, and is no operation
            if event.cpu_parent is whole:
                event.cpu_parent = None
        events.remove(whole)
        begin, end = (1e-6 * time for time in (whole.time_range.start, whole.time_range.end))
        spans = profile_pytorch.spans(events, modules, shares)
        for op in ops.own_times(spans, begin, end).ops():
            self.report.ops(**op)

    def classify(self) -> np.ndarray:
        """The classes of the test images, batch by batch, in inference mode."""
        batches = self.images.split(self.job.workload.testing.batch_size)
        with torch.inference_mode():
            classes = [self.network.steps(batch).argmax(1) for batch in batches]
            return torch.cat(classes).to(torch.uint8).numpy()

    def write_weights(self, path: str) -> None:
        """The parameters in the shared layout."""
        self.network.write(path)

    def write_predictions(self, path: str, classes: np.ndarray) -> None:
        """The classes as they are."""
        np.save(path, classes)

    def facts(self) -> dict[str, Any]:
        """What the network and PyTorch say."""
        parameters = list(self.network.parameters())
        return {
            "parameters": sum(parameter.numel() for parameter in parameters),
            "layers": [layer.type for layer in self.network.layers],
            "dtype": str(parameters[0].dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }


if __name__ == "__main__":
    PyTorch.main()
