"""Multiply-adds counted from shapes, against the convolutions the reference runs."""

from __future__ import annotations

import pytest
from make_model import V13, narrow_config

from localvqe_cli.complexity import macs_by_block, macs_per_hop
from localvqe_cli.config import ModelConfig


def test_the_published_geometries_cost_what_is_documented() -> None:
    assert macs_per_hop(ModelConfig()) == pytest.approx(29.8e6, rel=2e-3)
    assert macs_per_hop(V13) == pytest.approx(135e6, rel=2e-3)


@pytest.mark.parametrize("config", [ModelConfig(), V13, narrow_config(3, kernel_size_w=3)])
def test_convolutions_cost_what_the_reference_multiplies(config: ModelConfig) -> None:
    torch = pytest.importorskip("torch")
    from localvqe_cli.reference import LocalVQE

    model = LocalVQE(config)
    counted: dict[str, int] = {}

    def hook(name: str):
        def count(module, _inputs, output) -> None:
            frames = output.shape[2]
            block = name.split(".")[0]
            counted[block] = counted.get(block, 0) + output.numel() // frames * module.weight[0].numel()

        return count

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d) and not name.startswith("align"):
            module.register_forward_hook(hook(name))
    with torch.no_grad():
        model(torch.zeros(1, 256 * 8), torch.zeros(1, 256 * 8))
    blocks = macs_by_block(config)
    assert counted == {name: blocks[name] for name in counted}
    assert len(counted) == 12
