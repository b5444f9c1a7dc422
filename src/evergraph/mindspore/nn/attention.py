"""Attention of several heads, and the layers of transformers."""

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import HeUniform, Uniform, XavierNormal, XavierUniform, initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import unwrap, wrap
from evergraph.mindspore.nn.basic import Dense, Dropout
from evergraph.mindspore.nn.cell import Cell
from evergraph.mindspore.nn.container import CellList
from evergraph.mindspore.nn.normalization import LayerNorm

__all__ = [
    "MultiheadAttention",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _dense(inputs: int, outputs: int, dtype: Any, has_bias: bool = True) -> Dense:
    start = Uniform(1 / math.sqrt(inputs))
    return Dense(inputs, outputs, HeUniform(math.sqrt(5)), start, has_bias, dtype=dtype)


class MultiheadAttention(Cell):
    """Attention of several heads: (target length, batch, width), or with `batch_first` (batch, length, width).

    Args:
        embed_dim: width, a multiple of `num_heads`.
        num_heads: how many heads.
        dropout: what share of the weights is left out in training.
        has_bias: whether projections have biases.
        add_bias_kv: whether keys and values get one more trained place.
        add_zero_attn: whether keys and values get one more place of zeros.
        kdim, vdim: widths of keys and values where they are others.
        batch_first: whether the batch is the first axis.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        has_bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise UsageError(
                "embed_dim is a multiple of num_heads",
                where="MultiheadAttention",
                found=printable((embed_dim, num_heads)),
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self._parts = (self.kdim, self.vdim) != (embed_dim, embed_dim)
        start = lambda name, *shape: Parameter(initializer(XavierUniform(), shape, dtype), name)
        if self._parts:
            self.q_proj_weight = start("q_proj_weight", embed_dim, embed_dim)
            self.k_proj_weight = start("k_proj_weight", embed_dim, self.kdim)
            self.v_proj_weight = start("v_proj_weight", embed_dim, self.vdim)
            self.in_proj_weight: Any = None
        else:
            self.in_proj_weight = start("in_proj_weight", 3 * embed_dim, embed_dim)
        bias = Parameter(initializer("zeros", (3 * embed_dim,), dtype), "in_proj_bias") if has_bias else None
        self.in_proj_bias: Any = bias
        self.out_proj = _dense(embed_dim, embed_dim, dtype, has_bias)
        more = lambda name: Parameter(initializer(XavierNormal(), (1, 1, embed_dim), dtype), name)
        self.bias_k: Any = more("bias_k") if add_bias_kv else None
        self.bias_v: Any = more("bias_v") if add_bias_kv else None

    def construct(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
    ) -> Any:
        """The output, and the heads' weights where `need_weights`; True in a mask leaves a place out."""
        swap = self.batch_first and query.ndim == 3
        q, k, v = (t._torch.transpose(0, 1) if swap else t._torch for t in (query, key, value))
        apart = ("q_proj_weight", "k_proj_weight", "v_proj_weight") if self._parts else ()
        output, weights = F.multi_head_attention_forward(
            q,
            k,
            v,
            self.embed_dim,
            self.num_heads,
            unwrap(self.in_proj_weight),
            unwrap(self.in_proj_bias),
            unwrap(self.bias_k),
            unwrap(self.bias_v),
            self.add_zero_attn,
            self.dropout,
            unwrap(self.out_proj.weight),
            unwrap(self.out_proj.bias),
            training=self.training,
            key_padding_mask=unwrap(key_padding_mask),
            need_weights=need_weights,
            attn_mask=unwrap(attn_mask),
            use_separate_proj_weight=self._parts,
            average_attn_weights=average_attn_weights,
            **{name: unwrap(getattr(self, name)) for name in apart},
        )
        output = wrap(output.transpose(0, 1) if swap else output)
        return (output, wrap(weights)) if need_weights else (output,)


def _activation(given: Any) -> Any:
    """`relu` and `gelu` by name; a Cell or function as it is.

    Raises:
        UsageError: another name, or no function.
    """
    if isinstance(given, str) and given in ("relu", "gelu"):
        run = {"relu": torch.relu, "gelu": F.gelu}[given]
        return lambda x: wrap(run(x._torch))
    if isinstance(given, str) or not callable(given):
        raise UsageError("the activation is relu, gelu, a Cell or a function", found=printable(given))
    return given


class _Layer(Cell):
    """What encoders' and decoders' layers share: feed-forward, residuals, and where the norms stand."""

    _norms = 2

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, dtype=dtype)
        if self._norms == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, dtype=dtype)
        self.dense1 = _dense(d_model, dim_feedforward, dtype)
        self.dropout = Dropout(p=dropout)
        self.dense2 = _dense(dim_feedforward, d_model, dtype)
        self.norm_first = norm_first
        for number in range(1, self._norms + 1):
            setattr(self, f"norm{number}", LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype))
        for number in range(1, self._norms + 1):
            setattr(self, f"dropout{number}", Dropout(p=dropout))
        self.activation = _activation(activation)

    def _around(self, number: int, x: Any, run: Any) -> Any:
        """X and what `run` makes of it, with the norm before or after."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        return x + dropout(run(norm(x))) if self.norm_first else norm(x + dropout(run(x)))

    def _forward(self, x: Any) -> Any:
        return self.dense2(self.dropout(self.activation(self.dense1(x))))


class TransformerEncoderLayer(_Layer):
    """Attention of the input to itself, then a feed-forward network, each with a residual and a norm.

    Args:
        d_model: width.
        nhead: how many heads.
        dim_feedforward: width between the two dense layers.
        dropout: what share is left out in training.
        activation: "relu", "gelu", a Cell or a function.
        layer_norm_eps: added to variances.
        batch_first: whether the batch is the first axis.
        norm_first: whether norms stand before attention and feed-forward.
    """

    def construct(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None) -> Any:
        """Encode."""
        attend = lambda x: self.self_attn(x, x, x, src_key_padding_mask, False, src_mask)[0]
        return self._around(2, self._around(1, src, attend), self._forward)


class TransformerDecoderLayer(_Layer):
    """Attention to itself, attention to the encoder's output, and a feed-forward network.

    Args:
        d_model: width.
        nhead: how many heads.
        dim_feedforward: width between the two dense layers.
        dropout: what share is left out in training.
        activation: "relu", "gelu", a Cell or a function.
        layer_norm_eps: added to variances.
        batch_first: whether the batch is the first axis.
        norm_first: whether norms stand before attention and feed-forward.
    """

    _norms = 3

    def construct(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
    ) -> Any:
        """Decode."""
        attend = lambda x: self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask)[0]
        look = lambda x: self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask)[0]
        return self._around(3, self._around(2, self._around(1, tgt, attend), look), self._forward)


class _Stack(Cell):
    """Copies of a layer, one after the other, and a norm at the end where there is one."""

    def __init__(self, layer: Cell, num_layers: int, norm: Any = None) -> None:
        super().__init__()
        self.layers = CellList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def construct(self, x: Any, *more: Any, **named: Any) -> Any:
        """Through all layers."""
        for layer in self.layers:
            x = layer(x, *more, **named)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """So many copies of an encoder's layer."""

    def __init__(self, encoder_layer: Cell, num_layers: int, norm: Any = None) -> None:
        super().__init__(encoder_layer, num_layers, norm)


class TransformerDecoder(_Stack):
    """So many copies of a decoder's layer."""

    def __init__(self, decoder_layer: Cell, num_layers: int, norm: Any = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)


class Transformer(Cell):
    """An encoder, and a decoder that looks at its output.

    Args:
        d_model: width.
        nhead: how many heads.
        num_encoder_layers, num_decoder_layers: how many layers.
        dim_feedforward: width between the two dense layers of each.
        dropout: what share is left out in training.
        activation: "relu", "gelu", a Cell or a function.
        custom_encoder, custom_decoder: Cells in the place of the usual ones.
        layer_norm_eps: added to variances.
        batch_first: whether the batch is the first axis.
        norm_first: whether norms stand before attention and feed-forward.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        custom_encoder: Cell | None = None,
        custom_decoder: Cell | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, dtype)
        norm = lambda: LayerNorm((d_model,), epsilon=layer_norm_eps, dtype=dtype)
        encoder, decoder = custom_encoder, custom_decoder
        if encoder is None:
            encoder = TransformerEncoder(TransformerEncoderLayer(*layer), num_encoder_layers, norm())
        if decoder is None:
            decoder = TransformerDecoder(TransformerDecoderLayer(*layer), num_decoder_layers, norm())
        self.encoder, self.decoder = encoder, decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def construct(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
    ) -> Any:
        """Decode `tgt` beside the encoded `src`.

        Raises:
            UsageError: batches or widths do not fit.
        """
        axis = 0 if self.batch_first else 1
        widths = {src.shape[-1], tgt.shape[-1], self.d_model}
        if len(widths) > 1 or (src.ndim == 3 and src.shape[axis] != tgt.shape[axis]):
            raise UsageError(
                "src and tgt have one batch size and the width d_model",
                where="Transformer",
                expected=f"width {self.d_model}",
                found=printable((src.shape, tgt.shape)),
            )
        memory = self.encoder(src, src_mask=src_mask, src_key_padding_mask=src_key_padding_mask)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
        )
