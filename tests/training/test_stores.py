"""States and checkpoints of trainings in S3: saved behind training, gone on from, pruned, and errors that are told."""

import numpy as np
import pytest

import evergraph as eg
import evergraph.mxnet as mx
from evergraph.errors import StoreError
from evergraph.stores import list_folder
from evergraph.stores.folders import list_folders
from tests.stores.test_remote import bucket  # noqa: F401 - a fixture
from tests.training.test_states import assert_same, broken_off, fit


@pytest.mark.parametrize("sharded", [False, True], ids=["whole", "sharded"])
def test_a_training_in_s3_goes_on_with_the_same_bits(bucket, sharded):  # noqa: F811
    folder, asked = f"{bucket}/runs-{sharded}/net", {"batches": 2, "sharded": sharded}
    wanted = fit(None, 2)
    broken_off(folder, after=9, asked=asked)
    assert list_folders(folder) == ["state-0001-00000000", "state-0001-00000002"]
    assert_same(fit(folder, 2, seed=5, asked=asked), wanted)
    assert list_folders(folder) == ["state-0001-00000004", "state-0002-00000000"]
    found = eg.open(folder + "/")
    np.testing.assert_array_equal(found["arg:fc1_weight"].numpy(), wanted.get_params()[0]["fc1_weight"].asnumpy())
    assert eg.verify(folder + "/").ok


def test_checkpoints_in_s3_are_saved_behind_training_and_the_newest_stay(bucket):  # noqa: F811
    prefix = f"{bucket}/saved/net"
    save = mx.callback.do_checkpoint(prefix, keep=2, background=True)
    module = fit(None, 4, epoch_end_callback=save)
    assert list_folder(f"{bucket}/saved/") == ["net-0003.params", "net-0004.params", "net-symbol.json", "net.kept.json"]
    _, args, _ = mx.model.load_checkpoint(prefix, 4)
    np.testing.assert_array_equal(args["fc1_weight"].asnumpy(), module.get_params()[0]["fc1_weight"].asnumpy())


def test_a_bucket_that_is_not_there_is_told_before_training_and_is_not_made(bucket):  # noqa: F811
    folder, seen = bucket.replace("models", "nowhere") + "/net", []
    for _ in range(2):
        with pytest.raises(StoreError, match="s3://nowhere/net"):
            fit(folder, 1, batch_end_callback=seen.append)
    assert not seen


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    (tmp_path / "file").touch()
    seen = []
    with pytest.raises(StoreError, match="file"):
        fit(tmp_path / "file" / "net", 1, batch_end_callback=seen.append)
    assert not seen


def test_a_bucket_that_goes_away_is_told_with_the_training_state(bucket, monkeypatch):  # noqa: F811
    import evergraph.mxnet.resume.session as sessions

    monkeypatch.setattr(sessions, "try_out", lambda folder: None)
    with pytest.raises(StoreError, match=r"(?s)while the training state in s3://nowhere.*where: s3://nowhere/net"):
        fit(bucket.replace("models", "nowhere") + "/net", 1)
