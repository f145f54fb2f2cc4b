"""Regularizers, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

from itertools import count

from seedbed import Regularizer, RegularizerSpec, Requires, hookimpl


class Base(Regularizer):
    def __init__(self, options, profile):
        self.calls = count()


class DrawsWhenBuilt(Base):
    def __init__(self, options, profile):
        import torch

        self.noise = torch.rand(1)


class TurnsOnDeterminism(Base):
    def __init__(self, options, profile):
        import torch

        torch.use_deterministic_algorithms(True)


class DrawsForItself(Base):
    def after_step(self, model, progress):
        import os

        model.head.bias.data.add_(0.01 * os.urandom(1)[0] / 256)


class WritesIntoBatches(Base):
    def on_batch(self, inputs, targets, generator):
        inputs[0] = inputs[0] * 0.5
        return inputs, targets


class WritesIntoTargets(Base):
    def on_batch(self, inputs, targets, generator):
        targets[0] = targets[1]
        return inputs, targets


class MixesByItself(Base):
    def on_batch(self, inputs, targets, generator):
        import torch

        order = torch.randperm(len(inputs))
        return inputs[order], targets[order]


class LosesProbability(Base):
    def on_batch(self, inputs, targets, generator):
        from torch.nn import functional as F

        soft = targets if targets.is_floating_point() else F.one_hot(targets, 3).float()
        return inputs, 0.9 * soft


class ExpectsClasses(Base):
    def on_batch(self, inputs, targets, generator):
        from torch.nn import functional as F

        return inputs, F.one_hot(targets, 3).float()


class HalvesBatches(Base):
    def on_batch(self, inputs, targets, generator):
        return inputs[::2], targets[::2]


class TakesTheMean(Base):
    def on_loss(self, loss):
        return lambda outputs, targets: loss(outputs, targets).mean()


class KnowsNoMixing(Base):
    def on_loss(self, loss):
        return lambda outputs, targets: loss(outputs, targets) * (1 + (targets == 0))


class SmoothsTwice(Base):
    """What is soft already it takes for another loss."""

    def on_loss(self, loss):
        return lambda outputs, targets: loss(outputs, targets) * (2.0 if targets.is_floating_point() else 1.0)


class DividesByTheNorm(Base):
    def on_gradients(self, model):
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(parameter.grad.norm())


class KnowsNothingFrozen(Base):
    def on_gradients(self, model):
        for parameter in model.parameters():
            parameter.grad.clamp_(-1.0, 1.0)


class ChangesWeightsInstead(Base):
    def on_gradients(self, model):
        for parameter in model.parameters():
            parameter.data.mul_(0.99)


class AveragesTheHead(Base):
    def averaged(self, model):
        return {name: each.clone() for name, each in model.state_dict().items() if name.startswith("head")}


class AveragesInDoubles(Base):
    def averaged(self, model):
        return {name: each.double() for name, each in model.state_dict().items()}


class AveragesInPlace(Base):
    def averaged(self, model):
        for parameter in model.parameters():
            parameter.data.mul_(0.5)


class StartsAtZero(Base):
    """Without a correction for its start, an average of few steps is far too small."""

    def __init__(self, options, profile):
        self.mean = {}

    def after_step(self, model, progress):
        for name, each in model.state_dict().items():
            self.mean[name] = (0.9 * self.mean.get(name, 0.0) + 0.1 * each).to(each.dtype)

    def averaged(self, model):
        return self.mean or None


class CountsLooks(Base):
    def is_done(self, scores):
        return next(self.calls) > 30


class WantsPositiveScores(Base):
    def is_done(self, scores):
        return bool(scores) and scores[-1] < 0


FAULTY = (
    DrawsWhenBuilt,
    TurnsOnDeterminism,
    DrawsForItself,
    WritesIntoTargets,
    MixesByItself,
    HalvesBatches,
    TakesTheMean,
    DividesByTheNorm,
    KnowsNothingFrozen,
    ChangesWeightsInstead,
    AveragesTheHead,
    AveragesInDoubles,
    AveragesInPlace,
    StartsAtZero,
    CountsLooks,
    WantsPositiveScores,
)
OF_CLASSES = (LosesProbability, ExpectsClasses, KnowsNoMixing, SmoothsTwice)


@hookimpl
def register_regularizers():
    for faulty in FAULTY:
        yield _regularizer(faulty, Requires())
    for faulty in OF_CLASSES:
        yield _regularizer(faulty, Requires(kinds=("classification",)))
    yield _regularizer(WritesIntoBatches, Requires(modalities=("series",)))


def _regularizer(faulty, requires):
    name = "".join(f"_{each.lower()}" if each.isupper() else each for each in faulty.__name__).strip("_")
    build = f"{__name__}:{faulty.__name__}"
    return RegularizerSpec(name=name, summary="It has a fault.", build=build, requires=requires)
