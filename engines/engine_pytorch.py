"""PyTorch on the CPU, eager: the loop an experienced user writes, with nothing needless in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.contract import Job, Report, run_engine

if TYPE_CHECKING:
    import torch

    from engines.model_pytorch import Network, Update


def train(job: Job, report: Report) -> None:
    """Train eagerly: views of one tensor as batches, losses collected and read once per epoch."""
    settings = job.workload.training
    with report.phase("import"):
        import numpy as np
        import torch

        from engines import model_pytorch
    _configure(job)
    with report.phase("load"):
        dtype = getattr(torch, settings.dtype)
        images = model_pytorch.load_images(job.data.images, dtype)
        labels = torch.from_numpy(np.load(job.data.labels)).long()
        orders = [None] * settings.epochs
        if job.data.order:
            orders = list(torch.from_numpy(np.load(job.data.order)).long())
    with report.phase("build"):
        network = model_pytorch.Network(job.workload)
        network.read(job.initial_weights)
        update = model_pytorch.Update(list(network.parameters()), settings)
    with report.phase("train"):
        for epoch, order in enumerate(orders):
            start = time.perf_counter()
            x, y = (images, labels) if order is None else (images[order], labels[order])
            loss = _epoch(network, update, x.split(settings.batch_size), y)
            seconds = time.perf_counter() - start
            report.epoch(epoch + 1, seconds=seconds, loss=loss, examples=len(y))
    with report.phase("save"):
        network.write(job.weights)
    _report_done(report, job, network, settings.batch_size)


def _epoch(network: Network, update: Update, batches: tuple, labels: torch.Tensor) -> float:
    """One pass over the batches; returns the mean loss per example."""
    import torch
    from torch.nn.functional import cross_entropy

    network.train()
    parameters: list[torch.Tensor] = list(network.parameters())
    losses = []
    for x, y in zip(batches, labels.split(len(batches[0])), strict=True):
        loss = cross_entropy(network.steps(x), y)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            update.apply(parameters, gradients)
        losses.append(loss.detach())
    sizes = torch.tensor([len(x) for x in batches], dtype=torch.float64)
    return float((torch.stack(losses).double() * sizes).sum() / len(labels))


def test(job: Job, report: Report) -> None:
    """Classify the test images batch by batch, in inference mode."""
    batch_size = job.workload.testing.batch_size
    with report.phase("import"):
        import numpy as np
        import torch

        from engines import model_pytorch
    _configure(job)
    with report.phase("load"):
        dtype = getattr(torch, job.workload.training.dtype)
        images = model_pytorch.load_images(job.data.images, dtype)
    with report.phase("build"):
        network = model_pytorch.Network(job.workload)
        network.read(job.weights)
        network.eval()
    with report.phase("test"), torch.inference_mode():
        classes = [network.steps(x).argmax(1) for x in images.split(batch_size)]
        predictions = torch.cat(classes).to(torch.uint8).numpy()
    with report.phase("save"):
        np.save(job.predictions, predictions)
    _report_done(report, job, network, batch_size)


def _configure(job: Job) -> None:
    """Limit the threads, set the number type and the seed (dropout draws from it)."""
    import torch

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(job.threads)
    torch.set_default_dtype(getattr(torch, job.workload.training.dtype))
    torch.manual_seed(job.seed)


def _report_done(report: Report, job: Job, network: Network, batch_size: int) -> None:
    import numpy as np
    import torch

    parameters = list(network.parameters())
    report.done(
        parameters=sum(parameter.numel() for parameter in parameters),
        layers=[layer.type for layer in network.layers],
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        versions={"torch": torch.__version__, "numpy": np.__version__},
    )


if __name__ == "__main__":
    run_engine(train=train, test=test)
