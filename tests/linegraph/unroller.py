"""Brute force: a network unrolled to neurons, its line graph counted route by route.

An independent derivation: from edgedyn come the descriptions of the operations only, never their
windows, moves or geometry. A neuron is a tensor's number and coordinates. A route of a kernel entry
is a pair (input neuron, output neuron); a parameter-free operation is a list of neuron pairs. The
multiplicity P[p, q] counts the triples (route of p ending at a, parameter-free path from a to b,
route of q starting at b).
"""

from fractions import Fraction
from itertools import product
from math import ceil, floor, prod

import numpy as np

from edgedyn.linegraph import layers as la
from edgedyn.linegraph import routes as ro


def unroll(network, nodes):
    """Return the multiplicities P[target, source] of all nodes, int64."""
    number = {name: k for k, name in enumerate(node_names(network, nodes))}
    P = np.zeros((len(number), len(number)), np.int64)
    # arriving[t][b][p]: over all routes of node p, the parameter-free paths from their ends to
    # neuron b of tensor t. Only real neurons have an entry; padding has none.
    arriving, layer = {0: silent(network.input.shape, P)}, 0
    for operation in network.operations:
        what, shapes = operation.what, [tensor.shape for tensor in operation.inputs]
        sources = [arriving[tensor.number] for tensor in operation.inputs]
        if isinstance(what, ro.Opaque):
            out, shape = silent(what.shape, P), what.shape
        elif owns_nodes(what, nodes):
            layer += 1
            out, shape = pass_layer(what, shapes[0], sources[0], P, number, layer)
        else:
            out = {}
            edges, shape = passes(what, shapes)
            for k, a, b in edges:
                if a in sources[k]:
                    out[b] = out.get(b, 0) + sources[k][a]
        assert tuple(shape) == operation.output.shape
        arriving[operation.output.number] = out
    return P


def silent(shape, P):
    """Return real neurons at which no node's route arrives."""
    return {b: np.zeros(len(P), np.int64) for b in positions(shape)}


def pass_layer(what, shape, source, P, number, layer):
    """Count what arrives at a layer's kernel into P; return what arrives at its output."""
    routes, out_shape = layer_routes(what, shape)
    out = silent(out_shape, P)  # all real, even an output that reads nothing but padding
    for entry, a, b in routes:
        if a in source:
            node = number[layer, entry]
            P[:, node] += source[a]
            out[b][node] += 1
    for b in out:
        node = number.get((layer, ("bias", b[-1])))
        if node is not None:
            out[b][node] += 1
    if is_shift(what):
        for a, paths in source.items():
            out[a] += paths
    return out, out_shape


def node_names(network, nodes):
    """Return (layer, position) of every node in order; biases as (layer, ("bias", channel))."""
    names, layer = [], 0
    for operation in network.operations:
        what, shape = operation.what, operation.inputs[0].shape
        if owns_nodes(what, nodes):
            layer += 1
            if not is_shift(what):
                names += [(layer, entry) for entry in positions(kernel_shape(what, shape))]
            if nodes == "all" and (what.beta if isinstance(what, la.Scale) else what.bias):
                names += [(layer, ("bias", c)) for c in range(operation.output.shape[-1])]
    return names


def owns_nodes(what, nodes):
    """Tell whether an operation has parameters that are nodes."""
    if isinstance(what, la.Scale):
        return nodes == "all" and (what.gamma or what.beta)
    return isinstance(what, la.Layer)


def is_shift(what):
    """Tell whether a layer only adds a bias, so that paths pass through it."""
    return isinstance(what, la.Scale) and not what.gamma


def positions(shape):
    """Return all coordinates of a shape in C-order."""
    return product(*map(range, shape))


# Layers: routes (kernel entry, input neuron, output neuron) and the output's shape ----------------


def kernel_shape(what, shape):
    """Return the shape in which a layer holds its kernel."""
    n = shape[-1]
    if isinstance(what, la.Scale):
        return (n,)
    if isinstance(what, la.Dense):
        return (what.units, n) if what.kernel == "outputs x inputs" else (n, what.units)
    taps = each(what.kernel_size, len(shape) - 1)
    if isinstance(what, la.DepthwiseConv2D):
        return (*taps, n, what.multiplier)
    if isinstance(what, la.Conv2DTranspose):
        return (*taps, what.filters, n)
    return (*taps, n // what.groups, what.filters)


def layer_routes(what, shape):
    """Return the routes of all kernel entries and the output's shape."""
    *sizes, n = shape
    if isinstance(what, la.Scale):
        return [((x[-1],), x, x) for x in positions(shape) if what.gamma], shape
    if isinstance(what, la.Dense):
        entries, n_out = dense_entries(what, n)
        routes = [(e, (*x, i), (*x, o)) for x in positions(sizes) for e, i, o in entries]
        return routes, (*sizes, n_out)
    entries, n_out = convolution_entries(what, n)
    axis = written_axis if isinstance(what, la.Conv2DTranspose) else read_axis
    options = (what.kernel_size, what.strides, what.dilation, what.padding)
    axes, out = axis_by_axis(axis, sizes, *options)
    routes = [((*tap, *e), (*x, i), (*y, o)) for tap, x, y in crossed(axes) for e, i, o in entries]
    return routes, (*out, n_out)


def dense_entries(what, n):
    """Return (kernel entry, input channel, output channel) of a dense layer, and the outputs."""
    pairs = list(product(range(n), range(what.units)))
    if what.kernel == "outputs x inputs":
        return [((o, i), i, o) for i, o in pairs], what.units
    return [((i, o), i, o) for i, o in pairs], what.units


def convolution_entries(what, n):
    """Return (end of the kernel entry, input channel, output channel), and the output channels."""
    if isinstance(what, la.DepthwiseConv2D):
        many = what.multiplier
        return [((c, m), c, c * many + m) for c in range(n) for m in range(many)], n * many
    if isinstance(what, la.Conv2DTranspose):
        pairs = product(range(n), range(what.filters))
        return [((o, i), i, o) for i, o in pairs], what.filters
    inside, per_group = n // what.groups, what.filters // what.groups
    pairs = product(range(inside), range(what.filters))
    return [((i, o), (o // per_group) * inside + i, o) for i, o in pairs], what.filters


# Windows: (tap, input, output) of one axis --------------------------------------------------------


def each(value, rank):
    """Return one value an axis."""
    return (value,) * rank if isinstance(value, int | str) else tuple(value)


def axis_by_axis(axis, sizes, *options):
    """Return the triples of every axis and the lengths after them."""
    columns = [each(option, len(sizes)) for option in options]
    found = [axis(*settings) for settings in zip(sizes, *columns, strict=True)]
    return [triples for triples, _ in found], [n_out for _, n_out in found]


def read_axis(n, k, s, d, pad):
    """Tap u of output y reads input y s + u d - before; outside lies padding, no neuron."""
    reach = (k - 1) * d + 1
    if pad == "same":
        n_out = ceil(Fraction(n, s))
        before = max((n_out - 1) * s + reach - n, 0) // 2
    else:
        before, after = (0, 0) if pad == "valid" else pad
        n_out = floor(Fraction(n + before + after - reach, s)) + 1
    read = [(u, y * s + u * d - before, y) for y in range(n_out) for u in range(k)]
    return [(u, x, y) for u, x, y in read if 0 <= x < n], n_out


def written_axis(n, k, s, d, pad):
    """Transposed: tap u of input x writes output x s + u d - before; the rest is cut off."""
    reach = (k - 1) * d + 1
    if pad == "valid":
        n_out, before = n * s + max(reach - s, 0), 0
    else:
        n_out = n * s
        before = max((n - 1) * s + reach - n_out, 0) // 2
    written = [(u, x, x * s + u * d - before) for x in range(n) for u in range(k)]
    return [(u, x, y) for u, x, y in written if 0 <= y < n_out], n_out


def crossed(axes):
    """Combine (tap, input, output) of each axis into coordinates over all axes."""
    for combination in product(*axes):
        yield tuple(zip(*combination, strict=True))


# Parameter-free operations: edges (number of the input, its neuron, output neuron) ----------------


def passes(what, shapes):
    """Return the edges and the output's shape."""
    shape = shapes[0]
    if isinstance(what, ro.Identity | la.Scale):
        return [(0, x, x) for x in positions(shape)], shape
    if isinstance(what, ro.Merge):
        return merged(shapes)
    if isinstance(what, ro.Concatenate):
        return concatenated(what.axis, shapes)
    if isinstance(what, ro.Permute):
        edges = [(0, x, tuple(x[k] for k in what.order)) for x in positions(shape)]
        return edges, tuple(shape[k] for k in what.order)
    if isinstance(what, ro.Flatten | ro.Reshape):
        new = reshaped(what, shape)
        pairs = zip(positions(shape), positions(new), strict=True)
        return [(0, a, b) for a, b in pairs], new
    if isinstance(what, ro.GlobalPooling):
        kept = (0,) * (len(shape) - 1) if what.keepdims else ()
        return [(0, x, (*kept, x[-1])) for x in positions(shape)], (*(1 for _ in kept), shape[-1])
    axes, out = moved_axes(what, shape[:-1])
    channels = range(shape[-1])
    edges = [(0, (*x, c), (*y, c)) for _, x, y in crossed(axes) for c in channels]
    return edges, (*out, shape[-1])


def reshaped(what, shape):
    """Return the shape after Flatten or Reshape."""
    if isinstance(what, ro.Flatten):
        return (prod(shape),)
    known = prod(n for n in what.shape if n != -1)
    return tuple(prod(shape) // known if n == -1 else n for n in what.shape)


def merged(shapes):
    """Neuron by neuron; trailing axes aligned, axes of length 1 repeated."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    out = tuple(max(lengths) for lengths in zip(*padded, strict=True))
    edges = []
    for b in positions(out):
        for k, shape in enumerate(shapes):
            own = zip(b[rank - len(shape) :], shape, strict=True)
            edges.append((k, tuple(0 if n == 1 else c for c, n in own), b))
    return edges, out


def concatenated(axis, shapes):
    """Put inputs behind one another along an axis."""
    edges, out = [], list(shapes[0])
    out[axis] = 0
    for k, shape in enumerate(shapes):
        for x in positions(shape):
            b = list(x)
            b[axis] += out[axis]
            edges.append((k, x, tuple(b)))
        out[axis] += shape[axis]
    return edges, out


def moved_axes(what, sizes):
    """Return (0, input, output) of each axis and the new lengths; channels stay as they are."""
    if isinstance(what, ro.Pooling):
        strides = what.size if what.strides is None else what.strides
        return axis_by_axis(read_axis, sizes, what.size, strides, 1, what.padding)
    if isinstance(what, ro.UpSampling):
        return axis_by_axis(upsampled_axis, sizes, what.size, what.interpolation)
    if isinstance(what, ro.ZeroPadding):
        return axis_by_axis(shifted_axis, sizes, what.padding, 1)
    assert isinstance(what, ro.Cropping)
    return axis_by_axis(shifted_axis, sizes, what.cropping, -1)


def shifted_axis(n, amount, sign):
    """Zeros put around, or positions cut off."""
    before, after = (sign * a for a in each(amount, 2))
    n_out = n + before + after
    return [(0, x, x + before) for x in range(n) if 0 <= x + before < n_out], n_out


def upsampled_axis(n, factor, interpolation):
    """Repeat, or interpolate between two neighbours with half-pixel centres."""
    found = []
    for t in range(n * factor):
        place = Fraction(2 * t + 1, 2 * factor) - Fraction(1, 2)
        # A set: a place on a position, or beyond the border, has one neighbour only.
        ends = (t // factor,) if interpolation == "nearest" else (floor(place), ceil(place))
        found += [(0, x, t) for x in {min(max(x, 0), n - 1) for x in ends}]
    return found, n * factor
