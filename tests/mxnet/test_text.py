"""Tokens counted, indexed and embedded."""

from collections import Counter

import pytest

import evergraph.mxnet as mx


@pytest.fixture
def embedding(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\nb 3 4\n")
    return mx.contrib.text.embedding.CustomEmbedding(str(tmp_path / "v.txt"))


def test_indexes_tokens_by_frequency():
    counter = mx.contrib.text.utils.count_tokens_from_str("c b a b c c d", " ", "\n")
    vocab = mx.contrib.text.vocab.Vocabulary(counter, most_freq_count=3, reserved_tokens=["<pad>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "c", "b", "a"]
    assert vocab.to_indices(["b", "z"]) == [3, 0]
    with pytest.raises(ValueError, match="no token has this index"):
        vocab.to_tokens(5)


def test_gives_vectors_of_tokens(embedding):
    assert embedding.idx_to_vec.asnumpy().tolist() == [[0, 0], [1, 2], [3, 4]]
    assert embedding.get_vecs_by_tokens(["B", "z"], lower_case_backup=True).asnumpy().tolist() == [[3, 4], [0, 0]]
    embedding.update_token_vectors("a", mx.nd.array([5, 6]))
    vocab = mx.contrib.text.vocab.Vocabulary(Counter("ba"))
    both = mx.contrib.text.embedding.CompositeEmbedding(vocab, [embedding, embedding])
    assert both.idx_to_vec.asnumpy().tolist() == [[0, 0, 0, 0], [5, 6, 5, 6], [3, 4, 3, 4]]


def test_rejects_unknown_tokens_and_damaged_files(embedding, tmp_path):
    with pytest.raises(ValueError, match="unknown 'z'"):
        embedding.update_token_vectors("z", mx.nd.array([5, 6]))
    (tmp_path / "w.txt").write_text("a 1 x\n")
    with pytest.raises(mx.MXNetError, match="line 1"):
        mx.contrib.text.embedding.CustomEmbedding(str(tmp_path / "w.txt"))


def test_reads_published_vectors_from_a_local_folder_only(tmp_path):
    (tmp_path / "glove").mkdir()
    (tmp_path / "glove/v.txt").write_text("a 1 2\n")
    made = mx.contrib.text.embedding.create("glove", pretrained_file_name="v.txt", embedding_root=str(tmp_path))
    assert made.idx_to_token == ["<unk>", "a"]
    with pytest.raises(mx.MXNetError, match="not downloaded"):
        mx.contrib.text.embedding.create("fasttext", pretrained_file_name="v.txt", embedding_root=str(tmp_path))


def test_takes_the_names_of_published_vectors_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = mx.contrib.text.embedding
    folder = tmp_path / ".mxnet/embeddings/glove"
    folder.mkdir(parents=True)
    (folder / "glove.840B.300d.txt").write_text("a 1 2\nb 3 4\n")
    assert text.get_pretrained_file_names() == {"glove": ["glove.840B.300d.txt"], "fasttext": []}
    made = text.GloVe(init_unknown_vec=mx.nd.ones, vocabulary=mx.contrib.text.vocab.Vocabulary(Counter("b")))
    assert made.idx_to_vec.asnumpy().tolist() == [[1, 1], [3, 4]]
    with pytest.raises(KeyError, match="glove"):
        text.get_pretrained_file_names("word2vec")
