"""Each kind of broken symbol file is one clear error that says where."""

import json

import pytest

from evergraph.errors import DamagedError, EvergraphError, FormatError, GraphError
from evergraph.graph import parse
from tests.goldens import MXNET
from tests.graph.test_json import plain

LENET = (MXNET / "0.9.5" / "checkpoints" / "lenet-symbol.json").read_bytes()


def rejected(data, kind=EvergraphError):
    with pytest.raises(kind) as caught:
        parse(data, "net-symbol.json")
    text = str(caught.value)
    assert "net-symbol.json" in text
    assert "\x1b" not in text
    return text


def test_rejects_nothing():
    assert "empty" in rejected(b"", FormatError)
    assert "empty" in rejected(b" \n", FormatError)


@pytest.mark.parametrize(
    "data", [b"<html><body>404</body></html>", b"version https://git-lfs.github.com/spec/v1", b"\x80\x02"]
)
def test_rejects_what_is_no_json(data):
    assert "not JSON" in rejected(data, FormatError)


def test_rejects_a_file_cut_at_any_byte():
    for end in [*range(1, 400), *range(400, len(LENET.rstrip()), 37)]:
        text = rejected(LENET[:end], DamagedError)
        assert "line " in text, end
        assert "column " in text, end


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"nodes": [}', "line 1, column 12"),
        (b'{\n"nodes": [1 2]}', "line 2, column 13"),
        (b'{"nodes": tru}', "line 1, column 11"),
        (b"{'nodes': []}", "line 1, column 2"),
    ],
)
def test_rejects_malformed_json_with_its_place(data, place):
    assert place in rejected(data, DamagedError)


def test_rejects_text_after_the_end():
    assert "after the end" in rejected(plain() + b"\nxxx", DamagedError)


@pytest.mark.parametrize("opening", [b"[", b'{"nodes":', b'{"nodes":['])
def test_rejects_a_million_nested_brackets(opening):
    assert "nested" in rejected(opening * 1_000_000, DamagedError)


def test_rejects_a_key_that_stands_twice():
    text = rejected(plain(', "attrs": {"a": "1",\n "b": "2", "a": "3"}'), DamagedError)
    assert "'a'" in text
    assert "line 2, column 12" in text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_rejects_numbers_that_are_not_finite(number):
    text = rejected(plain(top=f', "attrs": {{"mxnet_version":\n ["int", {number}]}}'), DamagedError)
    assert "line 2, column 10" in text
    assert number in text


@pytest.mark.parametrize("digits", [5_000, 1_000_000])
def test_rejects_endless_integers(digits):
    text = rejected(plain(top=f', "n":\n {"7" * digits}'), DamagedError)
    assert "too long" in text
    assert "line 2" in text


def test_rejects_an_integer_as_long_as_a_large_file():
    assert "byte 6" in rejected(b'{"n": ' + b"7" * (40 << 20), DamagedError)


@pytest.mark.parametrize("value", [b"[]", b'"text"', b"{}", b'{"a": 1}', b"7"])
def test_rejects_json_without_a_graph(value):
    rejected(value, FormatError)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"op": "relu"', b'"op": 3', "op of node 1"),
        (b'"op": "relu", ', b"", "op of node 1"),
        (b'"name": "y"', b'"name": null', "name of node 1"),
        (b'"name": "y", ', b"", "name of node 1"),
        (b'"inputs": [[0, 0]]', b'"inputs": 7', "inputs of node 1 'y' (relu)"),
        (b', "inputs": [[0, 0]]', b"", "inputs of node 1 'y' (relu)"),
        (b"[[0, 0]]", b"[[0]]", "inputs of node 1"),
        (b"[[0, 0]]", b"[[0, 0, 0, 0]]", "inputs of node 1"),
        (b"[[0, 0]]", b"[[0.0, 0]]", "inputs of node 1"),
        (b"[[0, 0]]", b"[[true, 0]]", "inputs of node 1"),
        (b"[[0, 0]]", b'[["0", 0]]', "inputs of node 1"),
        (b"[[0, 0]]", b"[[0, 99999999999]]", "inputs of node 1"),
        (b"[[0, 0]]", b"[3]", "inputs of node 1"),
        (b'"heads": [[1, 0]]', b'"heads": {}', "heads"),
        (b', "heads": [[1, 0]]', b"", "heads"),
        (b'"heads": [[1, 0]]', b'"heads": [[1]]', "heads"),
        (b'"arg_nodes": [0]', b'"arg_nodes": [1]', "arg_nodes"),
        (b'"arg_nodes": [0]', b'"arg_nodes": [7]', "arg_nodes"),
        (b'"arg_nodes": [0]', b'"arg_nodes": "x"', "arg_nodes"),
        (b'"arg_nodes": [0]', b'"arg_nodes": [0], "node_row_ptr": {}', "node_row_ptr"),
        (b'"arg_nodes": [0]', b'"arg_nodes": [0], "node_row_ptr": ["x"]', "node_row_ptr"),
        (b'"arg_nodes": [0]', b'"arg_nodes": [0], "attrs": []', "attrs"),
        (b'"name": "y"', b'"name": "y", "attrs": ["a"]', "attrs of node 1"),
        (b'"name": "y"', b'"name": "y", "attrs": null', "attrs of node 1"),
        (b'"name": "y"', b'"name": "y", "attrs": {"a": 2}', "attrs 'a' of node 1"),
        (b'"name": "y"', b'"name": "y", "attr": {"a": true}', "attr 'a' of node 1"),
        (b'"name": "y"', b'"name": "y", "param": {"a": []}', "param 'a' of node 1"),
        (b'"name": "y"', b'"name": "y", "attr": {"a": "1"}, "attrs": {"a": "2"}', "attrs 'a' of node 1"),
        (b'"name": "y"', b'"name": "y", "control_deps": 3', "control_deps of node 1"),
        (b'"name": "y"', b'"name": "y", "subgraphs": {}', "subgraphs of node 1"),
        (b'"name": "y"', b'"name": "y", "subgraphs": [3]', "subgraph 0 of node 1"),
        (b'{"op": "null", "name": "x", "inputs": []}', b"7", "node 0"),
    ],
)
def test_rejects_parts_of_a_wrong_kind(old, new, words):
    data = plain().replace(old, new)
    assert data != plain()
    assert words in rejected(data, DamagedError)


def test_rejects_everything_wrong_at_once():
    data = plain().replace(b"[[0, 0]]", b"[[0]]").replace(b'"name": "x"', b'"name": 7').replace(b"[[1, 0]]", b"3")
    text = rejected(data, DamagedError)
    assert "inputs of node 1" in text
    assert "name of node 0" in text
    assert "heads" in text


def test_rejects_subgraphs_that_are_broken_with_their_place():
    graph = json.loads((MXNET / "1.9.1" / "control" / "foreach.json").read_bytes())
    graph["nodes"][3]["subgraphs"][0]["nodes"][2]["inputs"] = [[0]]
    text = rejected(json.dumps(graph).encode(), DamagedError)
    assert "inputs of node 2 '_mul0' (elemwise_mul) of subgraph 0 of node 3" in text


def test_rejects_subgraphs_without_end():
    body = json.loads(plain())
    for _ in range(60):
        body = {
            **json.loads(plain()),
            "nodes": [{"op": "f", "name": "f", "inputs": [], "subgraphs": [body]}],
            "heads": [[0, 0]],
        }
        body["arg_nodes"] = []
    assert "at most 50 levels" in rejected(json.dumps(body).encode(), DamagedError)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (b"[[1, 0]]", "reads itself"),
        (b"[[9, 0]]", "node 1 'y' (relu) reads node 9"),
        (b"[[-1, 0]]", "reads node -1"),
        (b"[[0, -1]]", "output -1 of node 0"),
    ],
)
def test_rejects_edges_that_lead_nowhere(inputs, words):
    assert words in rejected(plain().replace(b"[[0, 0]]", inputs), GraphError)


def nodes(*inputs):
    found = [{"op": "null", "name": "x", "inputs": []}]
    found += [{"op": "relu", "name": f"n{i + 1}", "inputs": each} for i, each in enumerate(inputs)]
    return json.dumps({"nodes": found, "heads": [[1, 0]]}).encode()


def test_rejects_a_circle_by_both_nodes():
    text = rejected(nodes([[2, 0]], [[1, 0]]), GraphError)
    assert "node 1 'n1' (relu) reads the later node 2 'n2' (relu), in a circle" in text


def test_rejects_nodes_that_are_out_of_order():
    assert "nodes must stand in order" in rejected(nodes([[2, 0]], [[0, 0]]), GraphError)


def test_rejects_many_broken_edges_without_searching_for_each():
    text = rejected(nodes(*[[[i + 2, 0]] for i in range(20_000)], [[0, 0]]), GraphError)
    assert "and 19950 more" in text


@pytest.mark.parametrize("head", [b"[[7, 0]]", b"[[-1, 0]]", b"[[1, -1]]"])
def test_rejects_heads_that_lead_nowhere(head):
    assert "head 0" in rejected(plain().replace(b"[[1, 0]]", head), GraphError)


def test_rejects_an_output_that_the_row_pointers_deny():
    data = plain(top=', "node_row_ptr": [0, 1, 2]').replace(b'"heads": [[1, 0]]', b'"heads": [[1, 9]]')
    assert "output 9 of node 1 'y' (relu), which has 1" in rejected(data, GraphError)


def test_rejects_control_dependencies_that_come_later():
    assert "waits for" in rejected(plain(second=', "control_deps": [1]'), GraphError)


def test_rejects_a_variable_that_reads():
    assert "is a variable" in rejected(plain().replace(b'"relu"', b'"null"'), GraphError)


def test_names_are_escaped_in_errors():
    data = plain().replace(b'"y"', b'"\\u001b[31m\\n<script>"').replace(b"[[0, 0]]", b"[[5, 0]]")
    text = rejected(data, GraphError)
    assert "\\x1b[31m" in text


@pytest.mark.parametrize(
    ("version", "number", "words"),
    [
        ('["int", 99999]', 99999, "newer than any"),
        ('["str", "1.9.1"]', None, "no number"),
        ('"abc"', None, "no number"),
        ('["int", -5]', None, "no number"),
        ('["int", 10901]', 10901, None),
        ("10901", 10901, None),
    ],
)
def test_odd_versions_are_said_in_words(version, number, words):
    graph = parse(plain(top=f', "attrs": {{"mxnet_version": {version}}}'))
    assert graph.version == number
    assert [words in r for r in graph.remarks()] == ([True] if words else [])


def test_rejects_a_file_of_empty_brackets():
    assert "brackets" in rejected(b'{"nodes": [' + b"[]," * 700_000 + b"[]]}", DamagedError)


def test_digits_in_a_long_text_are_no_number():
    graph = parse(plain(', "attrs": {"a": "' + "7" * (34 << 20) + '"}'))
    assert len(graph.nodes[0].attrs["a"]) == 34 << 20


def test_rejects_a_key_that_stands_twice_in_a_large_file():
    many = ",".join('{"op": "null", "name": "x\\"{", "inputs": []}' for _ in range(20_000))
    text = rejected(b'{"nodes": [' + many.encode() + b'],\n "heads": [], "h\\u0065ads": []}', DamagedError)
    assert "'heads'" in text
    assert "line 2, column 15" in text


def test_a_file_that_is_wrong_throughout_is_read_no_further():
    data = json.dumps({"nodes": [3] * 200_000, "heads": []}).encode()
    assert "and 950 more" in rejected(data, DamagedError)
