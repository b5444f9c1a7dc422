"""Remote stores against real servers on loopback: ranges, lies, stalls, redirects; S3 by moto, Azure by Azurite."""

import base64
import os
import shutil
import subprocess

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import EvergraphError, MissingDependencyError, StoreError, UsageError
from evergraph.stores import locate, open_source
from tests.stores.servers import http_server

pytest.importorskip("aiohttp", reason="the http extra is not installed")


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    path = tmp_path_factory.mktemp("remote") / "net.params"
    eg.save({f"arg:w{i}": np.full((50_000,), i, "float32") for i in range(8)}, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(params):
    with http_server(params) as found:
        yield found


def url(server, kind, tail="net.params"):
    return f"http://127.0.0.1:{server.server_port}/{kind}/{tail}"


def test_reads_only_the_ranges_it_needs(server, params):
    server.requests.clear()
    opened = eg.open(url(server, "good"))
    assert opened["arg:w7"].numpy()[0] == 7
    fetched = sum(b - a + 1 for _, (a, b) in server.requests)
    assert fetched > 200_000
    opened["arg:w3"].numpy()
    assert all(r is not None for _, r in server.requests)


@pytest.mark.parametrize("kind", ["plain", "redirect"])
def test_a_server_without_ranges_or_with_redirects_is_read(server, kind):
    assert eg.open(url(server, kind))["arg:w5"].numpy()[-1] == 5


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no such file"),
        ("loop", "TooManyRedirects"),
        ("to-file", "cannot be read from"),
        ("wrong-range", "another range"),
        ("short-part", "another number of bytes"),
        ("no-range-header", "did not say which"),
        ("changing", "was changed while"),
        ("short-body", "cannot be read from"),
    ],
)
def test_rejects_a_server_that_lies(server, kind, message):
    with pytest.raises(StoreError) as caught:
        [t.numpy() for t in eg.open(url(server, kind)).values()]
    assert message in str(caught.value)


def test_rejects_a_server_that_stalls(server):
    source = open_source(url(server, "stall"), timeout=0.3)
    with pytest.raises(StoreError, match="cannot be read from"):
        source.read(source.size - 10, 10)


def test_rejects_an_empty_file():
    with http_server(b"") as server, pytest.raises(EvergraphError, match="empty"):
        eg.open(url(server, "good"))


def test_credentials_never_stand_in_an_error(server):
    secret = f"http://user:hunter2@127.0.0.1:{server.server_port}/missing/x?X-Amz-Signature=topsecret"
    with pytest.raises(StoreError) as caught:
        eg.open(secret)
    assert "hunter2" not in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_http_is_not_written_to(server):
    with pytest.raises(StoreError, match="cannot be written"):
        eg.save({"arg:w": np.ones(1, "f4")}, url(server, "good"))


@pytest.fixture(scope="module")
def bucket():
    moto = pytest.importorskip("moto.server", reason="moto's server is a development dependency")
    pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    service = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    service.start()
    host, port = service.get_host_and_port()
    saved = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "loopback",
        "AWS_SECRET_ACCESS_KEY": "loopbacksecret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().makedirs("models", exist_ok=True)  # moto keeps buckets for as long as its process runs
    yield "s3://models"
    service.stop()
    os.environ.clear()
    os.environ.update(saved)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def container():
    """A container in Azurite, Azure's own emulator, where `npm install azurite` has put it on the PATH."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not on the PATH")
    adlfs = pytest.importorskip("adlfs", reason="the azure extra is not installed")
    key = base64.b64encode(b"loopbacksecret").decode()
    saved = dict(os.environ)
    os.environ["AZURITE_ACCOUNTS"] = f"evergraph:{key}"
    options = ["--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as service:
        lines = iter(service.stdout.readline, "")
        address = next(line.split()[-1] for line in lines if "successfully listens" in line)
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = (
            f"DefaultEndpointsProtocol=http;AccountName=evergraph;AccountKey={key};BlobEndpoint={address}/evergraph;"
        )
        adlfs.AzureBlobFileSystem.clear_instance_cache()
        adlfs.AzureBlobFileSystem().mkdir("models")
        yield "azure://models"
        service.terminate()
    os.environ.clear()
    os.environ.update(saved)
    adlfs.AzureBlobFileSystem.clear_instance_cache()


@pytest.fixture(params=["bucket", "container"])
def objects(request):
    return request.getfixturevalue(request.param)


# adlfs hands whole blocks to aiohttp, which warns about it
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_object_stores_save_whole_objects_and_read_ranges(objects):
    arrays = {f"arg:w{i}": np.full((400_000,), i, "float32") for i in range(8)}
    eg.save(arrays, f"{objects}/net.params", checksum=True)
    opened = eg.open(f"{objects}/net.params")
    assert list(opened) == list(arrays)
    assert opened["arg:w6"].numpy()[-1] == 6
    from evergraph.saving.verify import check_checkpoint

    assert check_checkpoint(opened, f"{objects}/net.params").ok


def interrupted(uri):
    from evergraph.stores import commit

    with commit(uri) as sink:
        sink.write(b"half" * 3_000_000)
        raise KeyboardInterrupt


def test_an_interrupted_upload_leaves_the_old_object(objects):
    eg.save({"arg:w": np.ones(3, "f4")}, f"{objects}/kept.params")
    with pytest.raises(KeyboardInterrupt):
        interrupted(f"{objects}/kept.params")
    assert eg.open(f"{objects}/kept.params")["arg:w"].numpy().tolist() == [1, 1, 1]


def test_rejects_an_object_that_is_not_there(objects):
    with pytest.raises(StoreError) as caught:
        eg.open(f"{objects}/none.params")
    assert "loopbacksecret" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_a_bucket_alone_is_a_folder(bucket):
    import s3fs

    s3fs.S3FileSystem().makedirs("alone", exist_ok=True)
    eg.save({"arg:w": np.ones(3, "f4")}, "s3://alone/net.params")
    for uri in ("s3://alone", "s3://alone/"):
        assert eg.open(uri)["arg:w"].shape == (3,)


def test_memory_is_a_store(params):
    eg.save({"arg:w": np.ones(3, "f4")}, "memory://folder/a.params")
    assert eg.open("memory://folder/a.params")["arg:w"].shape == (3,)


def test_rejects_an_unknown_protocol_and_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"azure, file, gs, hdfs, http, https, memory, s3, viewfs"):
        eg.open("ftp://host/a.params")


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'evergraph\[hdfs\]'"):
        eg.open("hdfs://namenode/a.params")


@pytest.mark.parametrize(
    ("uri", "protocol", "host", "name"),
    [
        ("hdfs:///a/b", "hdfs", "", "/a/b"),
        ("viewfs://cluster/a", "viewfs", "cluster", "/a"),
        ("s3://bucket", "s3", "bucket", ""),
        ("W://Clinical//Unet-symbol.json", "file", "", "W://Clinical//Unet-symbol.json"),
        ("file:///a/b", "file", "", "/a/b"),
        ("file://a.params", "file", "", "a.params"),
        ("stdin", "stream", "", "stdin"),
        ("-", "stream", "", "-"),
        ("folder/x-symbol.json", "file", "", "folder/x-symbol.json"),
    ],
)
def test_uris_are_split_as_dmlc_splits_them(uri, protocol, host, name):
    found = locate(uri)
    assert (found.protocol, found.host, found.name) == (protocol, host, name)
