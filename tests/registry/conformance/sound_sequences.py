"""A third-party plugin without a fault, of what learns from series and texts or changes their training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from seedbed import (
    ArchitectureSpec,
    AugmenterSpec,
    Choice,
    Float,
    Regularizer,
    RegularizerSpec,
    Requires,
    WeightsSpec,
    hookimpl,
)

HERE = __name__


@dataclass(frozen=True)
class MeanOptions:
    width: Annotated[int, Choice(4, 8)] = 4
    depth: int = 1


@dataclass(frozen=True)
class NoiseOptions:
    strength: Annotated[float, Float(0.0, 1.0)] = 0.5


@hookimpl
def register_architectures():
    yield ArchitectureSpec(
        name="sound_mean",
        summary="The mean of what a layer makes of each step.",
        build=f"{HERE}:mean",
        options=MeanOptions,
        modalities=("series", "text"),
    )
    yield ArchitectureSpec(
        name="sound_letters",
        summary="How often each letter comes, by how rare it is.",
        build=f"{HERE}:letters",
        modalities=("text",),
        encoding="strings",
        features_only=True,
        weights=("sound_alphabet",),
    )


@hookimpl
def register_weights():
    yield WeightsSpec(
        name="sound_alphabet",
        summary="Made up.",
        build=f"{HERE}:fill",
        architecture="sound_letters",
        source="file",
        licence="MIT",
    )


@hookimpl
def register_augmenters():
    build = f"{HERE}:noise"
    yield AugmenterSpec(name="sound_noise", summary="Noise.", build=build, options=NoiseOptions, modalities=("series",))
    yield AugmenterSpec(name="sound_drop", summary="Drops the end.", build=f"{HERE}:drop", modalities=("text",))
    yield AugmenterSpec(name="sound_dim", summary="A darker image.", build=f"{HERE}:dim", stage="sample")
    yield AugmenterSpec(name="sound_mirror", summary="Mirrors.", build=f"{HERE}:Mirror")


@hookimpl
def register_regularizers():
    yield RegularizerSpec(
        name="sound_blend",
        summary="Mixes examples and their classes.",
        build=f"{HERE}:Blend",
        requires=Requires(modalities=("image", "series"), kinds=("classification", "multilabel")),
    )
    yield RegularizerSpec(name="sound_average", summary="The mean of all weights so far.", build=f"{HERE}:Average")
    yield RegularizerSpec(name="sound_sign", summary="Bounds gradients, ends in time.", build=f"{HERE}:Bound")


def mean(options, profile):
    from torch import nn

    is_text = profile.task.modality == "text"

    class Mean(nn.Module):
        num_features = options.width

        def __init__(self):
            super().__init__()
            width = options.width
            self.first = nn.Embedding(profile.vocabulary, width) if is_text else nn.Linear(profile.channels, width)
            self.norm = nn.LayerNorm(width)

        def forward(self, inputs, mask):
            steps = self.first(inputs if is_text else inputs.transpose(1, 2)) * mask[..., None]
            return self.norm(steps.sum(1) / mask.sum(1, keepdim=True).clamp(min=1))

        def layers(self):
            return [list(self.first.parameters()), list(self.norm.parameters())]

    return Mean()


def letters(options, profile):
    import torch
    from torch import nn

    class Letters(nn.Module):
        num_features = 64

        def __init__(self):
            super().__init__()
            self.register_buffer("rarity", torch.ones(64))

        def counts(self, texts):
            rows = [
                torch.bincount(torch.tensor([ord(each) % 64 for each in text] or [0]), minlength=64) for text in texts
            ]
            return torch.stack(rows).float()

        def fit(self, batches, generator):
            seen = sum((self.counts(texts) > 0).float().mean(0) for (texts,) in batches)
            self.rarity.copy_(1 / (1 + seen))

        def forward(self, texts):
            return (self.counts(texts) * self.rarity).to_sparse_csr()

    return Letters()


def fill(backbone):
    backbone.rarity.fill_(0.5)


def noise(options, profile):
    import torch

    def augment(inputs, mask, generator):
        return inputs + options.strength * torch.randn(inputs.shape, generator=generator) * mask[:, None], mask

    return augment


def drop(options, profile):
    import torch

    def augment(ids, mask, generator):
        kept = mask & (torch.arange(mask.shape[1]) <= torch.randint(mask.shape[1], (1,), generator=generator))
        return ids * kept, kept

    return augment


def dim(options, profile):
    return lambda image, rng: (image * rng.random()).astype("uint8")


class Mirror:
    def __init__(self, options, profile):
        pass

    def __call__(self, inputs, generator):
        import torch

        return torch.where(torch.rand(len(inputs), 1, 1, 1, generator=generator) < 0.5, inputs.flip(3), inputs)

    def views(self, inputs):
        return [inputs, inputs.flip(3)]


class Blend(Regularizer):
    def __init__(self, options, profile):
        self.classes = profile.task.outputs

    def on_batch(self, inputs, targets, generator):
        import torch
        from torch.nn import functional as F

        if not targets.is_floating_point():
            targets = F.one_hot(targets, self.classes).float()
        share, order = 0.5 + 0.5 * torch.rand(1, generator=generator), torch.randperm(len(inputs), generator=generator)
        return share * inputs + (1 - share) * inputs[order], share * targets + (1 - share) * targets[order]


class Average(Regularizer):
    def __init__(self, options, profile):
        self.steps, self.mean = 0, {}

    def after_step(self, model, progress):
        self.steps += 1
        for name, tensor in model.state_dict().items():
            old = self.mean.get(name, tensor)
            self.mean[name] = old + (tensor - old) / self.steps if tensor.is_floating_point() else tensor.clone()

    def averaged(self, model):
        return self.mean or None


class Bound(Regularizer):
    def __init__(self, options, profile):
        pass

    def on_gradients(self, model):
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.clamp_(-0.5, 0.5)

    def is_done(self, scores):
        return len(scores) > 3 and max(scores[-3:]) < max(scores[:-3])
