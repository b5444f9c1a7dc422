"""Changes of an image's colours, with given or random strength, on (H, W, C) of 0 to 255."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.families.image.layout import checked_image, straight
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.run import Run
from evergraph.ops.types import Floats

__all__ = ["adjust_lighting", "brightness", "contrast", "hue", "saturation"]

_GRAY = (0.299, 0.587, 0.114)
_LIGHT = (  # principal components of ImageNet's colours, each times the root of its variance
    (55.46 * -0.5675, 4.794 * 0.7192, 1.148 * 0.4009),
    (55.46 * -0.5808, 4.794 * -0.0045, 1.148 * -0.8140),
    (55.46 * -0.5836, 4.794 * -0.6948, 1.148 * 0.4203),
)


def _stored(values: Any, like: Any) -> Any:
    """Colours in the image's type: bytes are limited and cut, not rounded."""
    return (values.clamp(0, 255) if like is torch.uint8 else values).to(like)


def brightness(image: Any, alpha: Any) -> Any:
    """Float colours times alpha."""
    return image * alpha


def contrast(image: Any, alpha: Any) -> Any:
    """Float colours drawn towards (alpha below 1) or away from the image's mean grey."""
    gray = image @ image.new_tensor(_GRAY) if image.shape[-1] == 3 else image[..., 0]
    return image * alpha + gray.mean() * (1 - alpha)


def saturation(image: Any, alpha: Any) -> Any:
    """Float colours drawn towards or away from their grey; as in MXNet the grey is that of the blue alone."""
    if image.shape[-1] == 1:
        return image
    return image[..., 2:] * _GRAY[2] * (1 - alpha) + image * alpha


def hue(image: Any, alpha: Any) -> Any:
    """Float colours with their hue turned by alpha rounds."""
    if image.shape[-1] == 1:
        return image
    r, g, b = (image / 255).unbind(-1)
    most, least = (image / 255).aminmax(dim=-1)[::-1]
    spread, light = most - least, (most + least) / 2
    colored = spread > torch.finfo(torch.float32).eps
    safe = torch.where(colored, spread, 1.0)
    strength = torch.where(light < 0.5, spread / (most + least), spread / (2 - most - least))
    strength = torch.where(colored, strength, 0.0)
    angle = torch.where(most == r, (g - b) / safe, torch.where(most == g, (b - r) / safe + 2, (r - g) / safe + 4))
    sector = (torch.where(colored, angle, 0.0) + alpha * 6) % 6
    high = torch.where(light <= 0.5, light * (1 + strength), light + strength - light * strength)
    low = 2 * light - high
    # each channel rises over one sector of six, stays for two, falls over one
    shift = torch.tensor([2.0, 0.0, -2.0], device=image.device)
    phase = (sector.unsqueeze(-1) + shift) % 6
    part = torch.minimum(phase, 4 - phase).clamp(0, 1)
    found = low.unsqueeze(-1) + (high - low).unsqueeze(-1) * part
    return torch.where((strength == 0).unsqueeze(-1), light.unsqueeze(-1), found) * 255


def _changed(data: Any, change: Callable[[Any], Any]) -> Any:
    """An image after a change of its colours as float32, in its own type."""
    with torch.no_grad():
        found = _stored(change(data.detach().to(torch.float32)), data.dtype)
    return straight(found, data)


def _uniform(run: Run, low: float, high: float, device: Any) -> Any:
    return torch.rand((), generator=run.generator(device), device=device) * (high - low) + low


def _random(name: str, change: Callable[[Any, Any], Any]) -> None:
    def body(data: Any, *, min_factor: float, max_factor: float, run: Run) -> Any:
        if not 0 <= min_factor <= max_factor:
            raise OperatorError("factors lie between a minimum and a maximum", found=f"{min_factor} to {max_factor}")
        alpha = _uniform(run, min_factor, max_factor, data.device)
        return _changed(data, lambda image: change(image, alpha))

    body.__doc__ = (
        f"An image (H, W, C) of 0 to 255 with its {name} changed by a factor between min_factor and max_factor.\n\n"
        "As in MXNet the gradient passes as it is."
    )
    full = f"_image_random_{name}"
    operator(full, aliases=(f"_npx_{full}",), shape=checked_image)(body)


for _name, _change in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation), ("hue", hue)):
    _random(_name, _change)


@operator("_image_random_color_jitter", aliases=("_npx__image_random_color_jitter",), shape=checked_image)
def random_color_jitter(data, *, brightness: float, contrast: float, saturation: float, hue: float, run: Run):
    """An image (H, W, C) of 0 to 255 with all four changed in random order, each by up to its strength.

    As in MXNet the gradient passes as it is.
    """
    changes = (_brightness, _contrast, _saturation, _hue)
    strengths, device = (brightness, contrast, saturation, hue), data.device
    order = torch.randperm(4, generator=run.generator(device), device=device).tolist()
    found = data.detach()
    for i in order:
        if strengths[i] > 0:
            alpha = _uniform(run, -strengths[i], strengths[i], device) + (i < 3)
            found = _changed(found, lambda image, i=i, alpha=alpha: changes[i](image, alpha))
    return straight(found, data)


_brightness, _contrast, _saturation, _hue = brightness, contrast, saturation, hue


def _lit(data: Any, alpha: Any) -> Any:
    if data.shape[-1] == 1:
        return straight(data.detach(), data)
    light = torch.tensor(_LIGHT, dtype=torch.float32, device=data.device) @ alpha
    return _changed(data, lambda image: image + light)


@operator("_image_adjust_lighting", aliases=("_npx__image_adjust_lighting",), shape=checked_image)
def adjust_lighting(data, *, alpha: Floats):
    """An image (H, W, C) of 0 to 255 with its light moved along the principal components of ImageNet's colours.

    alpha holds three strengths. As in MXNet the gradient passes as it is.
    """
    if len(alpha) != 3:
        raise OperatorError("lighting takes three strengths", found=alpha)
    return _lit(data, torch.tensor(alpha, dtype=torch.float32, device=data.device))


@operator("_image_random_lighting", aliases=("_npx__image_random_lighting",), shape=checked_image)
def random_lighting(data, *, alpha_std: float = 0.05, run: Run):
    """_image_adjust_lighting with normal strengths of the deviation alpha_std."""
    noise = torch.randn(3, generator=run.generator(data.device), device=data.device)
    return _lit(data, noise * alpha_std)
