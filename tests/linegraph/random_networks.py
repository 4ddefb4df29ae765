"""Small random networks for comparisons with brute force: chains and directed acyclic graphs.

Only valid operations are drawn. No tensor before the last has more than NEURONS neurons; the layers
before the last have NODES parameters at most, biases and batch norms included.
"""

from math import prod
from random import Random

from hypothesis import strategies as st

from edgedyn.linegraph import Network
from edgedyn.linegraph import layers as la
from edgedyn.linegraph import routes as ro

NEURONS, NODES, LAYER_NODES = 196, 360, 110


@st.composite
def networks(draw):
    """Return a chain or a graph: drawn number by number, which can be shrunk, or from a seed.

    Those from a seed are larger and spread more evenly.
    """
    if draw(st.booleans()):
        return seeded_network(draw(st.integers(0, 2**32 - 1)))
    return random_network(lambda n: draw(st.integers(0, n - 1)))


def seeded_network(seed):
    """Return the network of a seed."""
    return random_network(Random(seed).randrange)


def random_network(choose):
    """Return a chain or a graph; ``choose(n)`` gives one of 0..n - 1, as `random.randrange`."""
    builder = Builder(choose)
    last = builder.start()
    branching = builder.integer(0, 2)
    for _ in range(builder.integer(1, 5)):
        blocks = builder.blocks(last) if branching else [builder.single]
        last = builder.pick(*blocks)(last)
    builder.finish(last)
    return builder.network


def describe(network):
    """Return a network operation by operation, for reports of failures."""
    lines = [f"t0 {network.input.shape}"]
    for operation in network.operations:
        inputs = ", ".join(f"t{tensor.number}" for tensor in operation.inputs)
        out = operation.output
        lines.append(f"t{out.number} {out.shape} = {operation.what!r} on {inputs}")
    return "\n".join(lines)


class Builder:
    """Chooses operations one by one and adds them to a network.

    Parameters
    ----------
    choose : callable
        ``choose(n)`` gives one of 0..n - 1.
    """

    def __init__(self, choose):
        self.choose = choose
        rank = self.pick(3, 3, 3, 3, 2, 2, 1)
        sizes = [self.pick(5, 4, 6, 7, 3, 2, 1) for _ in range(rank - 1)]
        self.network = Network((*sizes, self.pick(2, 3, 1, 4 if rank == 3 else 6)))
        self.tensors = [self.network.input]
        self.nodes = 0

    def integer(self, low, high):
        """Choose an integer; the least one where none is allowed."""
        return low + self.choose(max(high - low, 0) + 1)

    def pick(self, *choices):
        """Choose one of some values."""
        return choices[self.choose(len(choices))]

    def coin(self):
        """Choose between no and yes."""
        return bool(self.choose(2))

    def order(self, tensor):
        """Choose an order of the axes."""
        left = list(range(len(tensor.shape)))
        return tuple(left.pop(self.choose(len(left))) for _ in tensor.shape)

    def add(self, what, *inputs):
        """Add an operation; what it hands out may be used again."""
        self.tensors.append(self.network.add(what, *inputs))
        return self.tensors[-1]

    @property
    def room(self):
        """Parameters that the next layer may have."""
        return min(LAYER_NODES, NODES - self.nodes)

    def start(self):
        """Now and then begin with preprocessing; usually add a layer, so that paths begin."""
        last = self.network.input
        if self.integer(0, 7) == 0:
            last = self.add(ro.Opaque(self.pick((3,), (5, 2), (4, 3, 2))), last)
        return last if self.integer(0, 3) == 3 else self.layer(last)

    def finish(self, last):
        """Usually end in a dense layer, so that every path is read; always own some kernel."""
        operations = self.network.operations
        layers = [o.what for o in operations if isinstance(o.what, la.Layer)]
        endings = ["dense", "dense", "flatten", "flatten", "flatten"]
        if not all(isinstance(layer, la.Scale) for layer in layers):
            endings.append("none")
        kind = self.pick(*endings)
        if kind == "flatten":
            last = self.add(ro.Flatten(), last)
        if kind != "none":
            self.add(la.Dense(self.integer(1, 2), self.coin()), last)

    # Single operations ---------------------------------------------------------------------------

    def single(self, last):
        """Add one operation that fits the shape."""
        return self.layer(last) if self.coin() else self.route(last)

    def layer(self, last):
        """Add a layer with parameters, or nothing where it would be too large."""
        kinds = [self.dense, self.scale]
        if len(last.shape) == 2:
            kinds += [self.convolution] * 3
        if len(last.shape) == 3:
            kinds += [self.convolution] * 3 + [self.depthwise, self.separable]
            kinds += [self.transposed] * 2
        return self.pick(*kinds)(last)

    def route(self, last):
        """Add a parameter-free operation."""
        kinds = [self.reshape, self.permute, self.identity]
        if len(last.shape) > 1:
            kinds += [self.flatten, self.pooling, self.pooling, self.zero_padding, self.cropping]
            kinds += [self.up_sampling, self.up_sampling, self.global_pooling]
        return self.pick(*kinds)(last)

    def paid(self, what, last, nodes):
        """Add a layer if its parameters fit in."""
        if nodes > self.room:
            return last
        self.nodes += nodes
        return self.add(what, last)

    def dense(self, last, most=4):
        *sizes, n = last.shape
        most = min(most, NEURONS // prod(sizes), self.room // (n + 1))
        if most < 1:
            return last
        units = self.pick(*range(most, 0, -1), most)
        kernel = self.pick("inputs x outputs", "outputs x inputs")
        return self.paid(la.Dense(units, self.coin(), kernel), last, (n + 1) * units)

    def scale(self, last):
        what = la.Scale(self.coin(), self.coin())
        return self.paid(what, last, 2 * last.shape[-1])

    def convolution(self, last):
        *sizes, n = last.shape
        size, strides, padding, dilation, positions = self.windows(sizes, 1)
        groups = self.pick(*(g for g in range(1, n + 1) if n % g == 0))
        cost = prod(size) * (n // groups) + 1
        most = min(3, NEURONS // positions, self.room // cost) // groups
        if most < 1:
            return last
        filters = groups * self.pick(*range(most, 0, -1), most)
        kind = la.Conv1D if len(sizes) == 1 else la.Conv2D
        what = kind(filters, size, strides, padding, dilation, groups, self.coin())
        return self.paid(what, last, filters * cost)

    def depthwise(self, last):
        *sizes, n = last.shape
        size, strides, padding, dilation, positions = self.windows(sizes, n)
        many = self.integer(1, min(2, NEURONS // (n * positions)))
        what = la.DepthwiseConv2D(size, strides, padding, dilation, many, self.coin())
        return self.paid(what, last, n * many * (prod(size) + 1))

    def separable(self, last):
        *sizes, n = last.shape
        size, strides, padding, dilation, positions = self.windows(sizes, n)
        many = self.integer(1, min(2, NEURONS // (n * positions)))
        filters = self.pick(*range(min(3, NEURONS // positions), 0, -1))
        nodes = n * many * prod(size) + (n * many + 1) * filters
        bias = self.coin()
        options = (size, strides, padding, dilation, many, bias)
        return self.paid(la.SeparableConv2D(filters, *options), last, nodes)

    def transposed(self, last):
        *sizes, n = last.shape
        padding, options, positions = self.pick("same", "valid"), [], prod(sizes)
        for length in sizes:
            limit = NEURONS // (positions // length)
            stride = self.integer(1, min(4, limit // length))
            reach = 5 if padding == "same" else min(5, limit - (length - 1) * stride)
            taps = self.integer(1, min(3, reach))
            dilation = self.integer(1, (reach - 1) // (taps - 1) if taps > 1 else 2)
            longer = max((taps - 1) * dilation + 1 - stride, 0) if padding == "valid" else 0
            positions = positions // length * (length * stride + longer)
            options.append((taps, stride, dilation))
        size, strides, dilations = zip(*options, strict=True)
        filters = self.pick(*range(min(2, NEURONS // positions), 0, -1))
        bias = self.coin()
        what = la.Conv2DTranspose(filters, size, strides, padding, dilations, bias)
        return self.paid(what, last, filters * (prod(size) * n + 1))

    def pooling(self, last):
        *sizes, n = last.shape
        size, strides, padding, _, _ = self.windows(sizes, n, dilated=False)
        if padding == "valid" and self.coin():
            strides = None
        return self.add(ro.Pooling(size, strides, padding), last)

    def windows(self, sizes, channels, dilated=True):
        """Draw (size, strides, padding, dilation) of a window, and the positions after it."""
        padding = self.pick("same", "valid", "pairs")
        positions, options = prod(sizes), []
        for length in sizes:
            # Explicit pairs may be wider than the window, as long as the result stays small.
            spare = NEURONS // (channels * (positions // length)) - length
            pair = (0, 0)
            if padding == "pairs":
                before = self.integer(0, min(3, spare))
                pair = (before, self.integer(0, min(3, spare - before)))
            inside = length + sum(pair) + (3 if padding == "same" else 0)
            taps = self.integer(1, min(3, inside))
            farthest = (inside - 1) // (taps - 1) if taps > 1 else 2
            dilation = self.integer(1, min(2, farthest)) if dilated else 1
            stride = self.pick(1, 1, 1, 1, 2, 3, 4)
            reach = (taps - 1) * dilation + 1
            outputs = -(-length // stride)
            if padding != "same":
                outputs = (inside - reach) // stride + 1
            positions = positions // length * outputs
            options.append((taps, stride, dilation, pair))
        size, strides, dilations, pairs = zip(*options, strict=True)
        return size, strides, pairs if padding == "pairs" else padding, dilations, positions

    def zero_padding(self, last):
        *sizes, n = last.shape
        pairs, positions = [], prod(sizes)
        for length in sizes:
            limit = NEURONS // (n * (positions // length))
            before = self.integer(0, min(2, limit - length))
            after = self.integer(0, min(2, limit - length - before))
            positions = positions // length * (length + before + after)
            pairs.append((before, after))
        return self.add(ro.ZeroPadding(tuple(pairs)), last)

    def cropping(self, last):
        pairs = []
        for length in last.shape[:-1]:
            before = self.integer(0, min(2, length - 1))
            pairs.append((before, self.integer(0, min(2, length - 1 - before))))
        return self.add(ro.Cropping(tuple(pairs)), last)

    def up_sampling(self, last):
        factors, neurons = [], prod(last.shape)
        for _ in last.shape[:-1]:
            factors.append(self.integer(1, min(3, NEURONS // neurons)))
            neurons *= factors[-1]
        return self.add(ro.UpSampling(tuple(factors), self.pick("nearest", "bilinear")), last)

    def global_pooling(self, last):
        return self.add(ro.GlobalPooling(self.coin()), last)

    def flatten(self, last):
        return self.add(ro.Flatten(), last)

    def identity(self, last):
        return self.add(ro.Identity(), last)

    def permute(self, last):
        return self.add(ro.Permute(self.order(last)), last)

    def reshape(self, last):
        """Draw another factorisation, of the flattened neurons or at once."""
        if self.coin():
            last = self.flatten(last)
        shape, rest = [], prod(last.shape)
        for _ in range(self.integer(1, 4) - 1):
            shape.append(self.pick(*(n for n in range(1, rest + 1) if rest % n == 0)))
            rest //= shape[-1]
        return self.add(ro.Reshape((*shape, self.pick(rest, -1))), last)

    # Blocks --------------------------------------------------------------------------------------

    def blocks(self, last):
        """Return the ways to go on from a tensor."""
        found = [self.single, self.single, self.flattened, self.residual, self.any_pair]
        if len(last.shape) > 1:
            found += [self.pools, self.pools, self.gate, self.stripe, self.residual]
        return found

    def kept(self, last):
        """Add one operation, or two, after which the shape is the same."""
        *sizes, n = last.shape
        kinds = [self.scale, self.identity, self.kept_dense, self.turned]
        if sizes:
            kinds += [self.kept_pooling, self.shrunk]
        if len(sizes) in (1, 2):
            kinds += [self.kept_convolution] * 2
        return self.pick(*kinds)(last)

    def kept_dense(self, last):
        n = last.shape[-1]
        return self.paid(la.Dense(n, self.coin()), last, n * (n + 1))

    def kept_convolution(self, last):
        *sizes, n = last.shape
        size = tuple(self.integer(1, 3) for _ in sizes)
        kind = la.Conv1D if len(sizes) == 1 else la.Conv2D
        what = kind(n, size, padding="same", bias=self.coin())
        return self.paid(what, last, n * (n * prod(size) + 1))

    def kept_pooling(self, last):
        sizes = [self.integer(1, 3) for _ in last.shape[:-1]]
        pairs = tuple(((k - 1) // 2, k // 2) for k in sizes)
        return self.add(ro.Pooling(tuple(sizes), 1, self.pick("same", pairs)), last)

    def shrunk(self, last):
        """Cut positions off and put zeros, which are no neurons, in their place."""
        before = self.network.operations
        count = len(before)
        cut = self.cropping(last)
        return self.add(ro.ZeroPadding(before[count].what.cropping), cut)

    def turned(self, last):
        """Exchange axes, do something to them, and exchange them back."""
        order = self.order(last)
        last = self.add(ro.Permute(order), last)
        last = self.scale(last)
        back = tuple(order.index(k) for k in range(len(order)))
        return self.add(ro.Permute(back), last)

    def join(self, tensors):
        """Merge tensors of one shape, or put them behind one another along any axis."""
        shape = tensors[0].shape
        fits = prod(shape) * len(tensors) <= NEURONS
        kind = self.pick("add", "multiply", "merge", *["concatenate"] * (2 * fits))
        if kind == "concatenate":
            axis = self.integer(-len(shape), len(shape) - 1)
            return self.add(ro.Concatenate(axis), *tensors)
        what = {"add": ro.Add(), "multiply": ro.Multiply(), "merge": ro.Merge()}[kind]
        return self.add(what, *tensors)

    def residual(self, last):
        """Branches that keep the shape, one of them possibly empty."""
        ends = [last] if self.coin() else []
        for _ in range(self.integer(2 - len(ends), 2)):
            end = last
            for _ in range(self.integer(1, 2)):
                end = self.kept(end)
            ends.append(end)
        return self.join(ends)

    def pools(self, last):
        """Different windows with the same strides: different sets of neurons, equal shapes."""
        strides = tuple(self.integer(1, 3) for _ in last.shape[:-1])
        ends = []
        for _ in range(self.integer(2, 3)):
            size = tuple(self.integer(1, 3) for _ in strides)
            ends.append(self.add(ro.Pooling(size, strides, "same"), last))
            if self.coin():
                ends[-1] = self.kept(ends[-1])
        return self.join(ends)

    def gate(self, last):
        """Squeeze and excitation: one factor a channel, broadcast over the positions."""
        end = self.add(ro.GlobalPooling(self.coin()), last)
        for _ in range(self.integer(0, 2)):
            end = self.dense(end) if self.coin() else self.scale(end)
        if end.shape[-1] not in (1, last.shape[-1]):
            end = self.kept_dense_to(end, last.shape[-1])
        if end.shape[-1] not in (1, last.shape[-1]):
            return last  # no room was left for it: the branch leads nowhere
        pair = (last, end) if self.coin() else (end, last)
        return self.add(self.pick(ro.Multiply(), ro.Multiply(), ro.Add()), *pair)

    def kept_dense_to(self, last, units):
        nodes = (last.shape[-1] + 1) * units
        return self.paid(la.Dense(units, self.coin()), last, nodes)

    def stripe(self, last):
        """One axis pooled to length 1, then broadcast against the tensor itself."""
        *sizes, n = last.shape
        axis = self.integer(0, len(sizes) - 1)
        size = tuple(m if k == axis else 1 for k, m in enumerate(sizes))
        end = self.kept(self.add(ro.Pooling(size), last))
        return self.add(self.pick(ro.Add(), ro.Multiply(), ro.Merge()), end, last)

    def flattened(self, last):
        """Any branches, flattened behind one another."""
        ends = []
        for _ in range(self.integer(2, 3)):
            end = last
            for _ in range(self.integer(0, 2)):
                end = self.single(end)
            ends.append(self.add(ro.Flatten(), end))
        while len(ends) > 1 and sum(end.shape[0] for end in ends) > NEURONS:
            ends.pop()
        return self.add(ro.Concatenate(self.pick(0, -1)), *ends)

    def any_pair(self, last):
        """Join any tensor that fits, however far back, the tensor itself included."""
        partners = [t for t in self.tensors if fit(t.shape, last.shape)]
        other = self.pick(*partners)
        if other.shape == last.shape:
            return self.join([other, last])
        return self.add(self.pick(ro.Add(), ro.Multiply()), other, last)


def fit(a, b):
    """Tell whether two shapes broadcast to a third of few neurons."""
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    return all(n == m or 1 in (n, m) for n, m in pairs) and prod(map(max, pairs)) <= NEURONS
