"""What detection operators refuse, and that tracing keeps them whole."""

import pytest
import torch

from evergraph import ops
from evergraph.errors import ShapeError


def scored_boxes(rows):
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(1, rows, 4, generator=generator)
    corners[..., 2:] += corners[..., :2]
    return torch.cat((torch.zeros(1, rows, 1), torch.rand(1, rows, 1, generator=generator), corners), 2)


class Layer(torch.nn.Module):
    def __init__(self, name, **parameters):
        super().__init__()
        self.op = ops.get(name)
        self.parameters_ = self.op.convert(parameters)

    def forward(self, *inputs):
        return self.op.body(*inputs, **self.parameters_)


def traced_layers():
    anchors = scored_boxes(12)[..., 2:]
    scores = torch.rand(1, 3, 12, generator=torch.Generator().manual_seed(4))
    return {
        "box_nms": (Layer("_contrib_box_nms", overlap_thresh=0.3), (scored_boxes(20),)),
        "detection": (Layer("_contrib_MultiBoxDetection"), (scores, torch.zeros(1, 48), anchors)),
        "target": (Layer("_contrib_MultiBoxTarget"), (anchors, scored_boxes(4)[..., [0, 2, 3, 4, 5]], scores)),
        "matching": (Layer("_contrib_bipartite_matching", threshold=0.1), (scores,)),
    }


@pytest.mark.parametrize("name", ["box_nms", "detection", "target", "matching"])
def test_export_gives_the_same_values_as_the_call(name):
    layer, inputs = traced_layers()[name]
    want, got = layer(*inputs), torch.export.export(layer, inputs).module()(*inputs)
    want, got = (v if isinstance(v, tuple) else (v,) for v in (want, got))
    assert all(torch.equal(w, g) for w, g in zip(want, got, strict=True))


def test_rejects_columns_that_box_nms_rows_do_not_have():
    op = ops.get("_contrib_box_nms")
    params = op.convert({"score_index": 2, "id_index": 9})
    with pytest.raises(ShapeError) as error:
        op.infer_shapes(params, [(1, 5, 6)], [None, None])
    assert "score_index 2 is one of the coordinates" in str(error.value)
    assert "id_index 9 is no column" in str(error.value)


def test_rejects_channels_that_do_not_fit_the_anchors_of_a_proposal():
    op = ops.get("_contrib_Proposal")
    with pytest.raises(ShapeError, match="do not fit its anchors"):
        op.body(torch.zeros(1, 4, 2, 2), torch.zeros(1, 8, 2, 2), torch.ones(1, 3), **op.convert({}))


def test_rejects_channels_that_do_not_divide_into_bins():
    op = ops.get("_contrib_ROIAlign")
    params = op.convert({"pooled_size": (2, 2), "spatial_scale": 1.0, "position_sensitive": True})
    with pytest.raises(ShapeError, match="channels for each bin"):
        op.infer_shapes(params, [(1, 6, 4, 4), (2, 5)], [None])


def test_mask_targets_are_the_matched_mask_cut_and_marked_for_its_class():
    # a mask that grows with x: bilinear samples of it are their own x coordinate
    masks = torch.arange(8.0).expand(1, 2, 8, 8).clone()
    masks[:, 1] += 100
    op = ops.get("_contrib_mrcnn_mask_target")
    params = op.convert({"num_rois": 2, "num_classes": 3, "mask_size": (2, 2), "sample_ratio": 1})
    rois = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 6.0, 6.0]]])
    cut, counts = op.body(rois, masks, torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]), **params)
    assert cut.shape == counts.shape == (1, 2, 3, 2, 2)
    assert cut[0, 0, 1].tolist() == [[1.0, 3.0], [1.0, 3.0]]
    assert cut[0, 1, 0].tolist() == [[103.0, 105.0], [103.0, 105.0]]
    assert counts[0, :, :, 0, 0].tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
