"""Styles in which people write their networks: small ones, each with something that a tool may stumble over."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def block(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Net(nn.Module):
    """Three blocks and a linear classifier; the styles below change one thing each."""

    def __init__(self, num_classes: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.a, self.b, self.c = block(channels, 8), block(8, 16), block(16, 24)
        self.fc = nn.Linear(24, num_classes)

    def features(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x))).mean((2, 3))

    def forward(self, x: Tensor):
        return self.fc(self.features(x))


def grey(num_classes: int = 4) -> nn.Module:
    return Net(num_classes, channels=1)


class HeadFirst(nn.Module):
    """Declared in another order than it runs."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.head, self.c, self.b, self.a = nn.Conv2d(24, num_classes, 1), block(16, 24), block(8, 16), block(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.c(self.b(self.a(x)))).mean((2, 3))


class Containers(nn.Module):
    """Lists, dicts and sequences inside each other; a block called as a key of ours, and one after a dict's method."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.final = nn.ModuleDict({"stem": block(3, 8), "items_": nn.ModuleList([block(8, 16), block(16, 16, 1)])})
        self.logits = nn.Sequential(nn.Sequential(block(16, 24)), nn.Sequential(block(24, 24, 1)))
        self.fc = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.final["stem"](x)
        for part in self.final["items_"]:
            x = part(x)
        return self.fc(self.logits(x).mean((2, 3)))


def nested(num_classes: int = 4) -> nn.Module:
    """Sequences in sequences, with the classifier as a part."""
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, num_classes))
    return nn.Sequential(nn.Sequential(block(3, 8), block(8, 16)), nn.Sequential(block(16, 24)), head)


class Functional(nn.Module):
    """Everything but the weights is a function, and a `view` needs its memory in order."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 6, 5, padding=2), nn.Conv2d(6, 16, 5, padding=2)
        self.f1, self.f2 = nn.Linear(16 * 8 * 8, 32), nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu_(self.c1(x)), 2)
        x = F.max_pool2d(F.relu_(self.c2(x)), 2)
        x = F.dropout(F.relu(self.f1(x.view(-1, 16 * 8 * 8))), 0.5, self.training)
        return self.f2(x)


class Shared(nn.Module):
    """One block in two places, under two names."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.stem, self.once, self.last = block(3, 16), block(16, 16, 1), block(16, 24)
        self.again = self.once
        self.fc = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.again(self.once(self.stem(x)))).mean((2, 3)))


class Looped(nn.Module):
    """One block that runs three times."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.stem, self.step, self.last = block(3, 16), block(16, 16, 1), block(16, 24)
        self.fc = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = x + self.step(x)
        return self.fc(self.last(x).mean((2, 3)))


class Hooked(Net):
    """A hook that changes what a block gives, and one that keeps a feature with its graph."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__(num_classes)
        self.kept: list[Tensor] = []
        self.b.register_forward_hook(lambda part, inputs, output: output * 2)
        self.c.register_forward_hook(_keep)

    def train(self, mode: bool = True):  # gives nothing back
        super().train(mode)


def _keep(part: nn.Module, inputs, output: Tensor) -> None:
    part.seen = output


class FrozenStem(Net):
    """A stem without gradients, and a detached feature behind it."""

    def features(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.a(x)
        return self.c(self.b(x.detach())).mean((2, 3))


class Lazy(nn.Module):
    """Layers that take their sizes from the first input."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.LazyConv2d(8, 3, 2, 1), nn.LazyBatchNorm2d(), nn.ReLU())
        self.b = nn.Sequential(nn.LazyConv2d(16, 3, 2, 1), nn.ReLU())
        self.fc = nn.LazyLinear(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.b(self.a(x)).flatten(1))


class Tupled(Net):
    """Logits among things that are no tensors, in evaluation as in training."""

    def forward(self, x: Tensor):
        return None, self.fc(self.features(x)), {"name": "tupled"}, 3


class Output:
    """An object with logits, as models of text give them."""

    def __init__(self, logits: Tensor) -> None:
        self.loss, self.logits = None, logits


class Objects(Net):
    def forward(self, x: Tensor):
        return Output(self.fc(self.features(x)))


class Dicts(Net):
    """A dict in training, where the logits are not the first part; a tensor in evaluation."""

    def forward(self, x: Tensor):
        features = self.features(x)
        return {"features": features, "logits": self.fc(features)} if self.training else self.fc(features)


class FiveDimensions(nn.Module):
    """A convolution over the channels as a third place, then ordinary ones."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.c3, self.a, self.b = nn.Conv3d(1, 4, 3, padding=1), block(12, 16), block(16, 24)
        self.fc = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.c3(x.unsqueeze(1))).flatten(1, 2)
        return self.fc(self.b(self.a(x)).mean((2, 3)))


class Softmax(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(super().forward(x), dim=1)


class LogSoftmax(Net):
    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x), dim=1)


class Rows(nn.Module):
    """A recurrent network that reads an image row by row."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.first, self.second = nn.LSTM(96, 16, batch_first=True), nn.GRU(16, 16, batch_first=True)
        self.between, self.fc = nn.Sequential(nn.Linear(16, 16), nn.ReLU()), nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        rows, _ = self.first(x.permute(0, 2, 1, 3).flatten(2))
        rows, _ = self.second(self.between(rows))
        return self.fc(rows[:, -1])


class Normed(nn.Module):
    """Weights that are computed of others: by the older hooks and by parametrisations."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3, 2, 1)), nn.ReLU())
        self.b = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 16, 3, 2, 1)), nn.ReLU())
        self.c = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(16, 24, 3, 2, 1)), nn.ReLU())
        self.fc = nn.utils.parametrizations.weight_norm(nn.Linear(24, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.c(self.b(self.a(x))).mean((2, 3)))


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class Custom(Net):
    """A function with a gradient of its own."""

    def features(self, x: Tensor) -> Tensor:
        return self.c(_Square.apply(self.b(self.a(x)))).mean((2, 3))


class InPlace(Net):
    """What is overwritten between the blocks."""

    def features(self, x: Tensor) -> Tensor:
        x = 1.0 * self.a(x)
        x.mul_(0.5).add_(1)
        x = self.b(x) + 1
        x[:, :2] = 0
        return self.c(x).add_(1).sub(1).mean((2, 3)) if not self.training else self.c(x).mean((2, 3))


class Patches(nn.Module):
    """A small transformer with its class token behind the patches, cut and put together by reshapes."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(3 * 8 * 8, 32), nn.Parameter(torch.zeros(1, 17, 32))
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 2, 64, dropout=0.1, batch_first=True, norm_first=True) for _ in range(3)
        )
        self.fc = nn.Linear(32, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(n, (h // 8) * (w // 8), c * 64)
        x = torch.cat([self.embed(x), self.token.expand(n, -1, -1)], dim=1) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.fc(x[:, -1])


class Groups(nn.Module):
    """Group normalisation, channels last for a while, and a bilinear layer at the end."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU())
        self.mix = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.b = nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.GroupNorm(4, 24), nn.SiLU())
        self.fc = nn.Bilinear(24, 24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.a(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.b(x).mean((2, 3))
        return self.fc(x, x)
