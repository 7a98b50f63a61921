"""The network of PixelCNN++ (Salimans et al. 2017, section 2): two streams of shifted convolutions on several levels.

The stream `above` sees the rows above a pixel, the stream `before` those and what is to the left in its own row; the
first one feeds the second. Each goes down through the levels, halving the sides, and up again with a skip to every
block. So the output at a pixel depends on nothing at or after it, and there is no blind spot.

`forward` is of whole maps. `draw` fills a map position by position; it keeps what every layer has computed, so that a
map costs about as much as one `forward`, where evaluating all of it for each position costs H·W of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchbench.models.autoregressive.shifted import GatedResnet, GrowConv2d, Memory, ShiftedConv2d


@dataclass(frozen=True)
class Plan:
    """How large a network is. width: channels. blocks: of each stream on each level, on the way down; as many on the
    way up. levels: how many sizes the maps have. dropout: in every block. condition: see `GatedResnet`."""

    width: int
    blocks: int
    levels: int
    dropout: float = 0.0
    condition: int = 0


@dataclass
class Trace:
    """What the stream above computed on a level, for the other one: after each block down, and after each up."""

    down: list[Tensor]
    up: list[Tensor] = field(default_factory=list)
    inner: Trace | None = None


class Level(nn.Module):
    """Both streams on one level, and all the levels below it."""

    def __init__(self, plan: Plan, level: int) -> None:
        super().__init__()
        self.level, width = level, plan.width
        deeper = level + 1 < plan.levels

        def blocks(n: int, right: bool, beside: int) -> nn.ModuleList:
            options = {"dropout": plan.dropout, "condition": plan.condition}
            return nn.ModuleList(
                GatedResnet(width, right=right, level=level, beside=beside, **options)  # type: ignore[arg-type]
                for _ in range(n)
            )

        self.above_down = blocks(plan.blocks, False, 0)
        self.before_down = blocks(plan.blocks, True, width)
        self.inner = Level(plan, level + 1) if deeper else None
        if deeper:
            self.above_shrink = ShiftedConv2d(width, width, (2, 3), right=False, level=level, stride=2)
            self.before_shrink = ShiftedConv2d(width, width, (2, 2), right=True, level=level, stride=2)
            self.above_grow = GrowConv2d(width, right=False, level=level)
            self.before_grow = GrowConv2d(width, right=True, level=level)
        # The deepest level begins its way up with what it ended the way down with: one skip fewer.
        self.above_up = blocks(plan.blocks + deeper, False, width)
        self.before_up = blocks(plan.blocks + deeper, True, 2 * width)

    def above(self, u: Tensor, condition: Tensor | None, memory: Memory | None) -> tuple[Tensor, Trace]:
        """The stream of the rows above: N×C×H×W to the same shape, and what it computed on the way."""
        skips = [u]
        for block in self.above_down:
            skips.append(block(skips[-1], None, condition, memory))
        trace = Trace(skips[1:])
        if self.inner is None:
            u = skips.pop()
        else:
            small = None
            if memory is None or memory.due(self.level + 1):
                shrunk = self.above_shrink(skips[-1], memory)
                small, trace.inner = self.inner.above(shrunk, condition, memory)
            else:
                memory.window(self.above_shrink, skips[-1])
            u = _grown(self.above_grow, small, skips[-1], memory)
        for block in self.above_up:
            u = block(u, skips.pop(), condition, memory)
            trace.up.append(u)
        return u, trace

    def before(self, v: Tensor, trace: Trace, condition: Tensor | None, memory: Memory | None) -> Tensor:
        """The stream of all that came before: N×C×H×W to the same shape."""

        def there(u: Tensor) -> Tensor:
            return u if memory is None else memory.here(u, self.level)

        skips = [v]
        for block, u in zip(self.before_down, trace.down, strict=True):
            skips.append(block(skips[-1], there(u), condition, memory))
        if self.inner is None:
            v = skips.pop()
        else:
            small = None
            if memory is None or memory.due(self.level + 1):
                assert trace.inner is not None
                shrunk = self.before_shrink(skips[-1], memory)
                small = self.inner.before(shrunk, trace.inner, condition, memory)
            else:
                memory.window(self.before_shrink, skips[-1])
            v = _grown(self.before_grow, small, skips[-1], memory)
        for block, u in zip(self.before_up, trace.up, strict=True):
            v = block(v, torch.cat([there(u), skips.pop()], 1), condition, memory)
        return v


def _grown(layer: GrowConv2d, small: Tensor | None, like: Tensor, memory: Memory | None) -> Tensor:
    """The maps of a level in the size of the one above it, which `like` has."""
    if memory is not None:
        return memory.grow(layer, small)
    grown: Tensor = layer(small)
    return grown[..., : like.shape[2], : like.shape[3]]


class TwoStreams(nn.Module):
    """Maps N×channels×H×W to N×outputs×H×W; an output depends on the positions before it in raster order."""

    def __init__(self, channels: int, outputs: int, plan: Plan) -> None:
        super().__init__()
        # One channel of ones beside the others tells what is inside from the padding.
        self.rows_above = nn.Conv2d(channels + 1, plan.width, (2, 3))
        self.row_above = nn.Conv2d(channels + 1, plan.width, (1, 3))
        self.left = nn.Conv2d(channels + 1, plan.width, (2, 1))
        self.levels = Level(plan, 0)
        self.head = nn.Conv2d(plan.width, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See the class; float32. condition: (N, size), the same for all positions."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        # A negative padding cuts off: the maps are shifted down and to the right.
        _, trace = self.levels.above(self.rows_above(F.pad(x, (1, 1, 2, -1))), condition, None)
        v = self.row_above(F.pad(x, (1, 1, 1, -1))) + self.left(F.pad(x, (1, -1, 1, 0)))
        return self._outputs(self.levels.before(v, trace, condition, None))

    def draw(
        self,
        like: Tensor,
        choose: Callable[[Tensor, int, int], Tensor],
        condition: Tensor | None = None,
    ) -> Tensor:
        """Fill a map in raster order.

        like: N×channels×H×W, whose shape, dtype and device the map has. choose: from the outputs at a position (N,
        outputs), its row and its column to what stands there, (N, channels).
        """
        n, channels, height, width = like.shape
        # Two rows of padding above and a column on each side, as `forward` has them.
        canvas = like.new_zeros(n, channels + 1, height + 2, width + 2)
        canvas[:, -1, 2:, 1:-1] = 1
        memory = Memory(width)
        for y in range(height):
            memory.y, memory.x = y, None
            _, trace = self.levels.above(self.rows_above(canvas[:, :, y : y + 2]), condition, memory)
            for x in range(width):
                memory.x = x
                v = self.row_above(canvas[:, :, y + 1 : y + 2, x : x + 3])
                v = v + self.left(canvas[:, :, y + 1 : y + 3, x : x + 1])
                v = self.levels.before(v, trace, condition, memory)
                canvas[:, :-1, y + 2, x + 1] = choose(self._outputs(v)[..., 0, 0], y, x)
        return canvas[:, :-1, 2:, 1:-1]

    def _outputs(self, v: Tensor) -> Tensor:
        # In float32 whatever is around it: a mean with the 8 bits of bfloat16 misses levels.
        with torch.autocast(v.device.type, enabled=False):
            outputs: Tensor = self.head(F.elu(v.to(self.head.weight.dtype)))
        return outputs
