"""Symbol files of every release are read without loss, and written as MXNet 1.9.1 writes them."""

import json

import pytest

from evergraph.graph import Graph, Node, parse, to_json
from tests.corpus import CORPUS, entries, needs_corpus
from tests.goldens import MXNET
from tests.graph.compare import SAVED_BY_191, SYMBOLS, ident, says


@pytest.mark.parametrize("path", SYMBOLS, ids=ident)
def test_an_unchanged_graph_saves_to_its_own_bytes_and_a_changed_one_says_the_same(path):
    data = path.read_bytes()
    graph = parse(data, path.name).verify()
    assert to_json(graph) == data
    assert says(parse(to_json(graph.replace()))) == says(graph)


@pytest.mark.parametrize("path", SAVED_BY_191, ids=ident)
def test_a_changed_graph_is_laid_out_as_1_9_1_does(path):
    data = path.read_bytes()
    assert to_json(parse(data).replace()) == data


def test_releases_from_1_0_on_write_the_same_layout():
    recorded = MXNET / "1.0.0" / "checkpoints" / "lenet-symbol.json"
    assert to_json(parse(recorded.read_bytes()).replace()) == recorded.read_bytes()


def test_every_node_and_text_of_the_first_form_is_read():
    data = (MXNET / "synthetic-000800" / "attrs_hidden-symbol.json").read_bytes()
    graph, raw = parse(data), json.loads(data)
    assert graph.spelling == "param"
    assert graph.version is None
    assert graph.row_ptr is None
    for node, given in zip(graph.nodes, raw["nodes"], strict=True):
        assert dict(node.attrs) == {**given["param"], **given.get("attr", {})}
        assert [[*e] for e in node.inputs] == [[*e, 0] for e in given["inputs"]]
        assert given["backward_source_id"] == -1  # says that there is none
        assert node.extra == {}


def test_subgraphs_are_read_at_every_level():
    graph = parse((MXNET / "1.9.1" / "control" / "while_loop.json").read_bytes())
    (loop,) = [n for n in graph.nodes if n.subgraphs]
    assert [len(s) for s in loop.subgraphs] == [2, 5]
    assert graph.operators()["_mul_scalar"] == 1


PLAIN = (
    '{"nodes": [{"op": "null", "name": "x", "inputs": []%s}, {"op": "relu", "name": "y", "inputs": [[0, 0]]%s}],'
    ' "arg_nodes": [0], "heads": [[1, 0]]%s}'
)


def plain(first="", second="", top=""):
    return (PLAIN % (first, second, top)).encode()


@pytest.mark.parametrize(
    ("found", "texts"),
    [
        (', "attrs": {"a": "1"}', {"a": "1"}),
        (', "attr": {"a": "1"}', {"a": "1"}),
        (', "param": {"a": "1"}', {"a": "1"}),
        # values that MXNet 1.9.1 saved after loading these
        (', "param": {"a": "2", "c": "2"}, "attr": {"a": "1", "b": "1"}', {"a": "1", "b": "1", "c": "2"}),
        (', "attrs": {"a": "\\n\\t\\r\\\\\\""}', {"a": '\n\t\r\\"'}),
        (', "attrs": {"a": "é中"}', {"a": "é中"}),
        (', "attrs": {}', {}),
    ],
)
def test_texts_are_read_under_every_key(found, texts):
    assert parse(plain(found)).nodes[0].attrs == texts


def test_an_operators_text_that_the_users_hides_is_kept():
    graph = parse(plain(', "param": {"a": "2"}, "attr": {"a": "1"}'))
    again = parse(to_json(graph.replace()))
    assert again.nodes[0].attrs == {"a": "1"}
    assert again.nodes[0].extra == {"param": {"a": "2"}}


def test_keys_that_nobody_knows_are_kept():
    graph = parse(plain(', "colour": {"a": [1, null, "x"]}', top=', "author": "me", "n": 1.5'))
    again = parse(to_json(graph.replace()))
    assert again.nodes[0].extra == {"colour": {"a": [1, None, "x"]}}
    assert again.extra == {"author": "me", "n": 1.5}
    assert says(again) == says(graph)


def test_a_source_of_gradients_is_kept():
    graph = parse(plain(', "param": {}, "backward_source_id": 3', ', "param": {}, "backward_source_id": -1'))
    assert [dict(n.extra) for n in graph.nodes] == [{"backward_source_id": 3}, {}]


def test_lists_that_follow_from_the_nodes_may_be_missing():
    graph = parse(b'{"nodes": [{"op": "null", "name": "x", "inputs": []}], "heads": [[0, 0]]}')
    assert b'"arg_nodes": [0]' in to_json(graph.replace())
    assert b'"node_row_ptr": [0, 1]' in to_json(graph.replace())


@pytest.mark.parametrize("change", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: json.dumps(json.loads(b)).encode()])
def test_line_ends_and_spaces_do_not_matter(change):
    data = (MXNET / "1.9.1" / "checkpoints" / "lenet-symbol.json").read_bytes()
    graph = parse(change(data))
    assert to_json(graph) == change(data)
    assert to_json(graph.replace()) == data


def test_a_byte_order_mark_is_passed_over():
    assert len(parse(b"\xef\xbb\xbf" + plain())) == 2


def test_bytes_that_are_no_unicode_are_kept():
    data = plain(', "attrs": {"a": "\x01@"}').replace(b"@", b"\xff\xfe")
    graph = parse(data)
    assert to_json(graph) == data
    assert b'"a": "\x01\xff\xfe"' in to_json(graph.replace())
    assert says(parse(to_json(graph.replace()))) == says(graph)


def test_surrogates_from_escapes_are_written_as_escapes():
    graph = parse(plain(', "attrs": {"a": "\\ud800"}'))
    assert b'"a": "\\ud800"' in to_json(graph.replace())


def test_duplicate_and_empty_names_are_kept():
    data = plain().replace(b'"y"', b'"x"')
    assert [n.name for n in parse(data).nodes] == ["x", "x"]
    assert parse(plain().replace(b'"y"', b'""')).nodes[1].name == ""


def test_versions_of_entries_are_kept():
    graph = parse(plain().replace(b"[0, 0]]", b"[0, 0, 7]]"))
    assert graph.nodes[1].inputs == ((0, 0, 7),)
    assert b'"inputs": [[0, 0, 7]]' in to_json(graph.replace())


def test_row_pointers_that_do_not_fit_are_not_used_and_remarked():
    graph = parse(plain(top=', "node_row_ptr": [0, 5]'))
    assert graph.output_counts is None
    assert "node_row_ptr" in graph.remarks()[0]


def test_outputs_that_are_read_count_where_nothing_else_tells():
    graph = Graph((Node("null", "x"), Node("Nowhere", "y", inputs=((0, 0, 0),))), heads=((1, 2, 0),))
    assert b'"node_row_ptr": [0, 1, 4]' in to_json(graph)


def test_a_chain_of_200000_nodes_needs_no_recursion():
    nodes = [{"op": "null", "name": "x", "inputs": []}]
    nodes += [{"op": "relu", "name": f"r{i}", "inputs": [[i, 0, 0]]} for i in range(200_000)]
    graph = parse(json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[200_000, 0, 0]]}).encode())
    assert len(graph.verify()) == 200_001
    assert len(parse(to_json(graph.replace()))) == 200_001


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(entries()), ids=str)
def test_public_graphs_are_read_without_loss(ident):
    row = entries()[ident]
    data = (CORPUS / row["file"]).read_bytes()
    graph = parse(data, row["file"]).verify()
    assert to_json(graph) == data
    assert says(parse(to_json(graph.replace()))) == says(graph)
    assert len(graph) == row["nodes"]
    assert graph.version == row["mxnet_version"]
