"""Jobs of several processes, as torchrun starts them, that share one start-up: `python tests/jobs.py JOBS.json`.

What takes seconds in each process is to import PyTorch and what a training needs; here that is done once, and the
processes of all jobs are forked from it. On macOS, where a fork may not outlive PyTorch, each is started anew.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(folder, *jobs, timeout=600):
    """Run jobs one after another; for each, the exit codes of its processes and what they wrote to stderr.

    Args:
        folder: where their output is kept.
        jobs: for each (number of processes, program, arguments, environment).
        timeout: seconds for all.
    """
    table = Path(folder) / "jobs.json"
    table.write_text(json.dumps([[size, str(p), list(map(str, args)), env] for size, p, args, env in jobs]))
    environment = {"OMP_NUM_THREADS": "1", "EVERGRAPH_DIST_TIMEOUT": "240", **os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, __file__, str(table)],
        env=environment,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def _meeting_place():
    """Where a job's processes meet, and what keeps it: no port that another program may take, and no process of the job
    whose end would cut off the others."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # pyright: ignore[reportPrivateImportUsage]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    return store, {**where, "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}


def _prepare():
    """Import what trainings import; nothing here may start a thread, which no fork would have."""
    import torch.distributed  # noqa: F401

    import evergraph.mxnet as mx
    from evergraph.mxnet import kvstore_dist  # noqa: F401
    from evergraph.training import shards  # noqa: F401

    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2), name="softmax")
    net.simple_bind(mx.cpu(), data=(1, 2)).forward()


def _forked(program, arguments, environment, told):
    if process := os.fork():
        return lambda: os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 1
    try:
        os.environ.update(environment)
        for target in (1, 2):
            os.dup2(told.fileno(), target)
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does at its end
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(code)


def _started(program, arguments, environment, told):
    environment = {**os.environ, **environment}
    started = subprocess.Popen([sys.executable, program, *arguments], env=environment, stdout=told, stderr=told)
    return started.wait


def main(table):
    """Run the jobs of a table, and print what became of them."""
    start = _started if sys.platform == "darwin" else _forked
    if start is _forked:
        _prepare()
    found = []
    for number, (size, program, arguments, given) in enumerate(json.loads(Path(table).read_text())):
        store, place = _meeting_place()
        common = {**place, "WORLD_SIZE": str(size), **given}
        logs = [open(f"{table}.{number}.{rank}", "w+") for rank in range(size)]  # noqa: SIM115 - they outlive this line
        waits = [start(program, arguments, {**common, "RANK": str(r)}, log) for r, log in enumerate(logs)]
        codes = [wait() for wait in waits]
        del store
        found.append([codes, [Path(log.name).read_text() for log in logs]])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
