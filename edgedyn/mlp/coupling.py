"""The interaction strengths P of a `ReLUMLP` as explicit blocks, for small networks.

The degrees that beta_eff needs come from closed forms without these matrices, see
`edgedyn.mlp.accumulator`; the blocks are for looking at P and for testing.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import check_choices
from edgedyn.mlp.loss import loss_curvature
from edgedyn.mlp.records import LayerRecord, RecordedChain, direct_tile, with_bias_row

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def coupling_block(
    net: RecordedChain,
    X: ArrayLike,
    y: ArrayLike,
    layer: int,
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
) -> "csr_array":
    r"""Return the block of P from layer `layer` + 1 to layer `layer`, entry by entry.

    .. math:: P_{(i,j),(k,i)} = \langle D^l_i\, e^{l+1}_k\, z^{l-1}_j \rangle
       \qquad \text{(direct)}

    Parameters
    ----------
    net, X, y, coupling, strength, nodes
        As for `edgedyn.neural_capacitance`; the network is a `ReLUMLP`.
    layer : int
        The target layer l, 1 to L - 1.

    Returns
    -------
    scipy.sparse.csr_array, shape (nodes of layer l, nodes of layer l + 1)
        Row: target node, column: source node, each in node order (kernel in C-order, then bias).
        The direct block holds one entry per link of the line graph; the full block is dense.

    Raises
    ------
    TypeError, ValueError
        For bad data, unknown names or a layer out of range.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 5-7. With the full coupling,
    ``H[(i,j),(k,i')] = mean D_i z_j ([i=i'] e_k + z_i' (W^T G)_ik)``, G the loss curvature at the
    pre-activations of layer l + 1.

    Examples
    --------
    >>> import edgedyn as ed
    >>> chain = ed.ReLUMLP([[[1.0]], [[2.0]], [[1.0]]], loss="squared_error")
    >>> ed.mlp.coupling_block(chain, [[3.0]], [5.0], 1).toarray()  # e = 1, z = 3, D = 1
    array([[3.]])
    """
    check_choices(coupling, strength, nodes)
    if not 1 <= check.positive_int(layer, "layer") < net.n_layers:
        raise ValueError(f"layer must be in 1..{net.n_layers - 1}; got {layer}.")
    X, y = net.check_data(X, y)
    records = net.records_unchecked(X, y)
    target, source = records[layer - 1], records[layer]
    bias = net.bias_nodes(nodes)
    if coupling == "full":
        return _full_block(net, X, records, layer, bias)
    if strength == "magnitude":
        target = target._replace(activation=np.abs(target.activation))
        source = source._replace(cotangent=np.abs(source.cotangent))
    return _direct_block(target, source, bias[layer - 1 : layer + 1], strength)


def _direct_block(
    target: LayerRecord, source: LayerRecord, bias: tuple[bool, ...], strength: str
) -> "csr_array":
    """Assemble the tiles of all shared neurons."""
    from scipy.sparse import coo_array

    n_in, n_mid, n_out = target.activation.shape[1], target.mask.shape[1], source.mask.shape[1]
    tiles = np.stack([direct_tile(target, source, i, bias[0]) for i in range(n_mid)])
    tiles /= len(target.activation)
    if strength == "absolute":
        tiles = np.abs(tiles)
    i, j, k = np.ogrid[: tiles.shape[0], : tiles.shape[1], : tiles.shape[2]]
    rows = np.where(j < n_in, i * n_in + j, n_mid * n_in + i)  # the bias row follows the kernel
    columns = k * n_mid + i
    shape = (n_mid * (n_in + bias[0]), n_out * (n_mid + bias[1]))
    rows, columns = (np.broadcast_to(a, tiles.shape).ravel() for a in (rows, columns))
    return coo_array((tiles.ravel(), (rows, columns)), shape=shape).tocsr()


def _full_block(
    net: RecordedChain, X: Array, records: list[LayerRecord], layer: int, bias: tuple[bool, ...]
) -> "csr_array":
    """Dense mixed second derivative, every sample's curvature matrix written out."""
    from scipy.sparse import csr_array

    target, source = records[layer - 1], records[layer]
    W = net.weights[layer]
    pull = np.einsum("ki,skq->siq", W, curvature_matrices(net, X, records, layer + 1))
    z_in = with_bias_row(target.activation, bias[layer - 1])
    z_mid = with_bias_row(source.activation, bias[layer])
    n_mid, n_out = target.mask.shape[1], source.mask.shape[1]
    H = np.einsum("si,sj,sik,sp->ijkp", target.mask, z_in, pull, z_mid, optimize=True)
    diagonal = np.arange(n_mid)
    direct = np.einsum("si,sj,sk->ijk", target.mask, z_in, source.cotangent, optimize=True)
    H[diagonal, :, :, diagonal] += direct
    rows = _order(n_mid, z_in.shape[1], bias[layer - 1])
    columns = _order(n_out, z_mid.shape[1], bias[layer])
    dense = H.reshape(rows.size, columns.size)[np.ix_(rows, columns)] / len(X)
    return csr_array(dense)


def _order(n: int, m: int, has_bias: bool) -> Array:
    """Positions of the nodes (kernel in C-order, then bias) in an (n, m) array with bias column."""
    kernel, bias = np.split(np.arange(n * m).reshape(n, m), [m - has_bias], axis=1)
    return np.concatenate([kernel.ravel(), bias.ravel()])


def curvature_matrices(
    net: RecordedChain, X: Array, records: list[LayerRecord], layer: int
) -> Array:
    """Return ``G^l``, the loss curvature at ``a^l``, shape (n_samples, n_l, n_l)."""
    logits = net.logits(X)
    unit = np.eye(net.n_classes, dtype=net.dtype)
    directions = (np.broadcast_to(v, logits.shape) for v in unit)
    G = np.stack([loss_curvature(logits, v, net.loss) for v in directions], axis=2)
    for below in range(net.n_layers - 1, layer - 1, -1):
        D, W = records[below - 1].mask, net.weights[below]
        G = np.einsum("si,ki,skq,qj,sj->sij", D, W, G, W, D, optimize=True)
    return G


def coupling_matrix(
    net: RecordedChain,
    X: ArrayLike,
    y: ArrayLike,
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
) -> "csr_array":
    """Return the whole P, shape (n_nodes, n_nodes), as ``P[target, source]``.

    Parameters, errors and source as for `coupling_block`.

    Examples
    --------
    >>> import edgedyn as ed
    >>> chain = ed.ReLUMLP([[[1.0]], [[2.0]], [[1.0]]], loss="squared_error")
    >>> ed.mlp.coupling_matrix(chain, [[3.0]], [5.0]).toarray()
    array([[0., 3., 0.],
           [0., 0., 3.],
           [0., 0., 0.]])
    """
    from scipy.sparse import block_array, csr_array

    check_choices(coupling, strength, nodes)
    shapes = zip(net.sizes[:-1], net.sizes[1:], net.bias_nodes(nodes), strict=True)
    sizes = [n * (m + b) for m, n, b in shapes]
    grid: list[list[Any]] = [[None] * net.n_layers for _ in sizes]
    for k, size in enumerate(sizes):
        grid[k][k] = csr_array((size, size), dtype=net.dtype)
    for layer in range(1, net.n_layers):
        grid[layer - 1][layer] = coupling_block(
            net, X, y, layer, coupling=coupling, strength=strength, nodes=nodes
        )
    return block_array(grid, format="csr")
