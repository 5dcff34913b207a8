"""The loop everybody writes first, to measure ours against: plain float32, autograd, torch.optim.

The layers are torchvision's, in its own order and memory layout; the loss is the preset `lwsw`, so that both loops
descend the same function (a test holds that). Kept independent of core.engine on purpose.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torchvision.models import vgg

from core.engine.options import StyleOptions

_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def layers(parameters: Mapping[str, Tensor]) -> nn.Sequential:
    """VGG-19 up to relu5_1 with average pooling. parameters: `conv1_1.weight` and so on."""
    trunk: nn.Sequential = vgg.make_layers(vgg.cfgs["E"])[:30]
    names = iter(sorted({name.split(".")[0] for name in parameters}))
    for at, module in enumerate(trunk):
        if isinstance(module, nn.Conv2d):
            name = next(names)
            module.weight.data, module.bias.data = parameters[f"{name}.weight"], parameters[f"{name}.bias"]  # type: ignore[union-attr]
        elif isinstance(module, nn.MaxPool2d):
            trunk[at] = nn.AvgPool2d(2)
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    trunk.requires_grad_(False)
    return trunk


def features(trunk: nn.Sequential, picture: Tensor) -> dict[str, Tensor]:
    """Every rectified layer by name."""
    found, block, at, x = {}, 1, 0, (picture - _MEAN.to(picture)) / _STD.to(picture)
    for module in trunk:
        x = module(x)
        if isinstance(module, nn.AvgPool2d):
            block, at = block + 1, 0
        elif isinstance(module, nn.ReLU):
            at += 1
            found[f"relu{block}_{at}"] = x
    return found


def gram(x: Tensor) -> Tensor:
    matrix = x.flatten(2)[0]
    return matrix @ matrix.T / matrix.shape[1]


def objective(trunk: nn.Sequential, content: Tensor, style: Tensor, o: StyleOptions) -> Callable[[Tensor], Tensor]:
    """The loss of a picture (1, 3, H, W) under `lwsw`, from content and style of the same kind."""
    with torch.no_grad():
        seen = features(trunk, content)
        goals = {name: gram(x) for name, x in features(trunk, style).items() if name in o.layer_weights}

    def relative(x: Tensor, goal: Tensor) -> Tensor:
        return (x - goal).square().sum() / goal.square().sum()

    def loss(picture: Tensor) -> Tensor:
        found = features(trunk, picture)
        total = sum(o.layer_weights.values())
        styled = sum(o.layer_weights[name] / total * relative(gram(found[name]), goal) for name, goal in goals.items())
        held = sum(relative(found[name], seen[name]) for name in o.content_layers) / len(o.content_layers)
        across, down = picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]
        smooth = across.abs().mean() + down.abs().mean()
        return torch.as_tensor(o.content_weight * held + o.style_weight * styled + o.tv_weight * smooth)

    return loss


def descend(
    loss: Callable[[Tensor], Tensor], start: Tensor, evaluations: int, tell: Callable[[Tensor], None], rate: float = 0.0
) -> Tensor:
    """L-BFGS as torch.optim does it by default, or Adam at `rate`; `tell` gets the picture after each evaluation."""
    picture = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([picture], lr=rate) if rate else torch.optim.LBFGS([picture])
    left = [evaluations]

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(picture)
        value.backward()  # type: ignore[no-untyped-call]
        left[0] -= 1
        tell(picture.detach())
        return value

    while left[0] > 0:
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return picture.detach()
