"""`ModelCheckpoint`: checkpoints while a Model trains, named, kept and suffixed as MindSpore 2.10 does."""

import os
import re
import time
from typing import Any

from evergraph.errors import UsageError, collect, printable
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.train.callback.base import Callback

__all__ = ["CheckpointConfig", "ModelCheckpoint"]

_EXTENSIONS = (".ckpt", ".safetensors")
_BREAKPOINT = "_breakpoint.ckpt"
_clock = time.time


class _TypeError(UsageError, TypeError):
    """An argument of another kind."""


class _ValueError(UsageError, ValueError):
    """An argument that is not one of those that there are."""


def _count(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _TypeError(f"For 'CheckpointConfig', {name!r} must be int", found=type(value).__name__)
    if value < 0:
        raise _ValueError(f"For 'CheckpointConfig', {name!r} must be at least 0", found=value)
    return value


def _kind(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        words = " or ".join(k.__name__ for k in kinds)
        raise _TypeError(f"For 'CheckpointConfig', {name!r} must be {words}", found=type(value).__name__)
    return value


class CheckpointConfig:
    """When checkpoints are saved, how many are kept, and what is in them.

    Args:
        save_checkpoint_steps: steps between two; 0 or None to go by time.
        save_checkpoint_seconds: seconds between two, where steps do not decide.
        keep_checkpoint_max: how many are kept.
        keep_checkpoint_per_n_minutes: or one of every so many minutes.
        integrated_save: kept for MindSpore's signature.
        async_save: whether saving goes on behind training.
        saved_network: a network that is saved in place of the trained one.
        append_info: "epoch_num", "step_num", and one dictionary of further values.
        enc_key: key to encrypt with.
        enc_mode: how to encrypt.
        exception_save: whether a checkpoint is saved when training fails.
        crc_check: whether files end with a checksum.
        remove_redundancy: for jobs of several devices.
        format: "ckpt" or "safetensors".
        kwargs: taken as in MindSpore; unknown ones change nothing.

    Raises:
        TypeError, ValueError: values that MindSpore refuses.
    """

    def __init__(
        self,
        save_checkpoint_steps: int | None = 1,
        save_checkpoint_seconds: int | None = 0,
        keep_checkpoint_max: int | None = 5,
        keep_checkpoint_per_n_minutes: int | None = 0,
        integrated_save: bool = True,
        async_save: Any = False,
        saved_network: Any = None,
        append_info: Any = None,
        enc_key: bytes | None = None,
        enc_mode: str = "AES-GCM",
        exception_save: bool = False,
        crc_check: bool = False,
        remove_redundancy: bool = False,
        format: str = "ckpt",
        **kwargs: Any,
    ) -> None:
        steps, seconds = (
            _count("save_checkpoint_steps", save_checkpoint_steps),
            _count("save_checkpoint_seconds", save_checkpoint_seconds),
        )
        most = _count("keep_checkpoint_max", keep_checkpoint_max)
        minutes = _count("keep_checkpoint_per_n_minutes", keep_checkpoint_per_n_minutes)
        if not (steps or seconds or most or minutes):
            raise _ValueError("the policy saves nothing: one of steps, seconds, max, minutes must be given")
        self.save_checkpoint_steps, self.save_checkpoint_seconds = steps, None if steps else seconds
        self.keep_checkpoint_max = most if most or minutes else 1
        self.keep_checkpoint_per_n_minutes = None if most else minutes
        self.integrated_save = _kind("integrated_save", integrated_save, (bool,))
        self.exception_save = _kind("exception_save", exception_save, (bool,))
        self.crc_check = _kind("crc_check", crc_check, (bool,))
        if not isinstance(enc_key, (bytes, type(None))):
            raise _ValueError("For 'CheckpointConfig', 'enc_key' must be bytes or None", found=type(enc_key).__name__)
        self.enc_key = enc_key
        self.enc_mode, self.format = _kind("enc_mode", enc_mode, (str,)), _kind("format", format, (str,))
        self.remove_redundancy = _kind("remove_redundancy", remove_redundancy, (bool,))
        self.async_save, self.saved_network = _async(async_save), _network(saved_network)
        self.map_param_inc = bool(kwargs.get("incremental", False))
        self._append = _append_info(append_info)
        if format == "safetensors":
            given = {"enc_key": enc_key, "crc_check": crc_check, "exception_save": exception_save}
            given |= {"incremental": kwargs.get("incremental"), "enc_mode": enc_mode != "AES-GCM"}
            collect(_ValueError, "safetensors files cannot have these", [k for k, v in given.items() if v])

    @property
    def append_dict(self) -> Any:
        """What is saved beside the network: values by name."""
        return self._append

    def get_checkpoint_policy(self) -> dict[str, Any]:
        """The four numbers, and the network that is saved."""
        names = ("save_checkpoint_steps", "save_checkpoint_seconds", "keep_checkpoint_max")
        found = {n: getattr(self, n) for n in (*names, "keep_checkpoint_per_n_minutes")}
        return {**found, "saved_network": self.saved_network}


def _async(value: Any) -> Any:
    if not isinstance(value, (bool, str)):
        raise _TypeError("For 'CheckpointConfig', 'async_save' must be bool or str", found=type(value).__name__)
    if isinstance(value, str) and value not in ("thread", "process"):
        raise _ValueError("For 'CheckpointConfig', 'async_save' is 'thread' or 'process'", found=printable(value))
    return value


def _network(value: Any) -> Any:
    from evergraph.mindspore.nn import Cell

    if value is not None and not isinstance(value, Cell):
        raise _TypeError("For 'CheckpointConfig', 'saved_network' must be Cell", found=type(value).__name__)
    return value


def _append_info(given: Any) -> dict[str, Any] | None:
    if given is None or given == []:
        return None
    if not isinstance(given, list):
        raise _TypeError("For 'CheckpointConfig', 'append_info' must be list", found=type(given).__name__)
    words = [g for g in given if isinstance(g, str)]
    tables = [g for g in given if isinstance(g, dict)]
    odd = [printable(w) for w in words if w not in ("epoch_num", "step_num")]
    collect(_ValueError, "'append_info' knows the texts epoch_num and step_num", odd)
    if len(tables) > 1 or len(words) + len(tables) < len(given):
        raise _TypeError("'append_info' holds texts and at most one dictionary", found=printable(given))
    found: dict[str, Any] = {w: 0 for w in ("epoch_num", "step_num") if w in words}
    for name, value in (tables[0] if tables else {}).items():
        if not isinstance(name, str) or not isinstance(value, (int, float, bool, str, Tensor)):
            raise _TypeError("'append_info' holds numbers, truth values, texts and Parameters by name", where=name)
        found[name] = value
    return found


def _suffix(folder: str, prefix: str, ending: str | None = None) -> int:
    """The number that tells a run from those whose files are in the folder; 0 where there are none."""
    largest = 0
    for name in os.listdir(folder):
        if ending is None:
            if not name.endswith(_EXTENSIONS) or name.endswith(_BREAKPOINT):
                continue
        elif not name.endswith(ending):
            continue
        rest = name[len(prefix) :]
        if not name.startswith(prefix) or not rest or rest[0].isalpha():
            continue
        if rest[0] == "-":
            largest = max(largest, 1)
            continue
        number, dash, _ = rest[1:].partition("-")
        if dash and number.isdigit():
            largest = max(largest, int(number) + 1)
    return largest


class ModelCheckpoint(Callback):
    """Saves checkpoints while a Model trains: `prefix-epoch_step.ckpt`.

    Args:
        prefix: beginning of file names, or a function of the run's parameters.
        directory: where they go, or a function of the run's parameters; the current folder where not given.
        config: when and what; `CheckpointConfig()` where not given.

    Raises:
        TypeError, ValueError: values that MindSpore refuses.
    """

    def __init__(self, prefix: Any = "CKP", directory: Any = None, config: CheckpointConfig | None = None) -> None:
        super().__init__()
        if not callable(prefix) and (not isinstance(prefix, str) or "/" in prefix):
            raise _ValueError("'prefix' is a text without '/', or a function", found=printable(str(prefix)))
        if directory is not None and not isinstance(directory, str) and not callable(directory):
            raise _TypeError("'directory' is a text or a function", found=type(directory).__name__)
        if config is not None and not isinstance(config, CheckpointConfig):
            raise _TypeError("'config' is a CheckpointConfig", found=type(config).__name__)
        self._config = config or CheckpointConfig()
        self._prefix: Any = prefix
        self._directory: Any = os.getcwd() if directory is None else directory
        self._latest, self._last_step, self._saved_at, self._kept_at = "", 0, _clock(), _clock()
        self._append = dict(self._config.append_dict or {})
        self._start = {n: self._append[n] for n in ("epoch_num", "step_num") if n in self._append}
        self._breakpoint_prefix: Any = prefix
        if isinstance(self._directory, str):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            if isinstance(prefix, str):
                number = _suffix(self._directory, prefix)
                self._prefix = f"{prefix}_{number}" if number else prefix

    @property
    def latest_ckpt_file_name(self) -> str:
        """The file that was saved last."""
        return self._latest

    def step_end(self, run_context: Any) -> None:
        """Save, where it is due."""
        params = run_context.original_args()
        if self._due(params):
            self._save(params)

    def end(self, run_context: Any) -> None:
        """Save once more at the end, where the last step was not, and wait for a save behind."""
        params = run_context.original_args()
        config = self._config
        if (config.save_checkpoint_steps or config.save_checkpoint_seconds) and params.cur_step_num != self._last_step:
            self._save(params)
        if config.async_save:
            from evergraph.mindspore.serialization.behind import PENDING

            PENDING.wait()

    def _due(self, params: Any) -> bool:
        config = self._config
        if config.save_checkpoint_steps:
            return params.cur_step_num >= self._last_step + config.save_checkpoint_steps
        if config.save_checkpoint_seconds and _clock() - self._saved_at > config.save_checkpoint_seconds:
            self._saved_at = _clock()
            return True
        return False

    def _place(self, params: Any) -> tuple[str, str, str]:
        """Folder, prefix, and the file's name."""
        folder: Any = self._directory(params) if callable(self._directory) else self._directory
        os.makedirs(folder, mode=0o700, exist_ok=True)
        ending = f".{self._config.format}"
        if callable(self._prefix):
            prefix: Any = self._prefix(params)
            return folder, prefix, f"{prefix}{ending}"
        step = (params.cur_step_num - 1) % params.batch_num + 1
        return folder, self._prefix, f"{self._prefix}-{params.cur_epoch_num}_{step}{ending}"

    def _save(self, params: Any) -> None:
        from evergraph.mindspore.serialization import save_checkpoint
        from evergraph.mindspore.serialization.behind import PENDING

        config = self._config
        folder, prefix, name = self._place(params)
        if self._latest == os.path.join(folder, name) and self._last_step == params.cur_step_num:
            return
        path = os.path.join(folder, name)
        if config.async_save:
            PENDING.wait()  # the file before is among those that are counted
        done = [p for p in self._outdated(folder, prefix) if p != path]
        self._last_step, self._kept_at = params.cur_step_num, _clock()
        for key, value in {"epoch_num": params.cur_epoch_num, "step_num": params.cur_step_num}.items():
            if key in self._append:
                self._append[key] = self._start[key] + value
        if config.remove_redundancy:
            raise _TypeError("'remove_redundancy' can only be used in parallel scenarios, with several devices")
        further: dict[str, Any] = {"remove_redundancy": False} if config.format == "safetensors" else {}
        save_checkpoint(
            config.saved_network or params.train_network,
            path,
            config.integrated_save,
            config.async_save,
            self._append or None,
            config.enc_key,
            config.enc_mode,
            crc_check=config.crc_check,
            format=config.format,
            **further,
        )
        if done and config.async_save:
            PENDING.then(lambda: _remove(done))
        else:
            _remove(done)
        self._latest = path
        params.latest_ckpt_file, params.last_save_ckpt_step = self._latest, self._last_step

    def _outdated(self, folder: str, prefix: str) -> list[str]:
        """What goes once the next file is there: at most one, or the younger ones of the last minutes."""
        config = self._config
        ending = f".{config.format}"
        pattern = re.compile(re.escape(prefix) + r"-[^a-zA-Z]*" + re.escape(ending))
        paths = [os.path.join(folder, n) for n in os.listdir(folder) if pattern.fullmatch(n)]
        if config.keep_checkpoint_max:
            if len(paths) >= config.keep_checkpoint_max:
                return [min(paths, key=os.path.getmtime)]
            return []
        seconds = (config.keep_checkpoint_per_n_minutes or 0) * 60
        if seconds and self._latest and _clock() - self._kept_at < seconds:
            young = sorted((p for p in paths if _clock() - os.path.getmtime(p) < seconds), key=os.path.getmtime)
            return young[1:]
        return []

    def save_breakpoint(self, params: Any) -> None:
        """Save the trained network when training fails, where the policy says so."""
        if not self._config.exception_save:
            return
        from evergraph.mindspore.serialization import save_checkpoint

        folder: Any = self._directory(params) if callable(self._directory) else self._directory
        begin: Any = self._breakpoint_prefix
        prefix: Any = begin(params) if callable(begin) else begin
        number = _suffix(folder, prefix, _BREAKPOINT)
        step = (params.cur_step_num - 1) % params.batch_num + 1
        for key, value in {"epoch_num": params.cur_epoch_num, "step_num": step}.items():
            if key in self._append:
                self._append[key] = self._start[key] + value
        stem = f"{prefix}_{number}" if number else prefix
        name = os.path.join(folder, f"{stem}-{params.cur_epoch_num}_{step}{_BREAKPOINT}")
        save_checkpoint(params.train_network, name, append_dict=self._append or None)


def _remove(paths: list[str]) -> None:
    for path in paths:
        os.chmod(path, 0o200)
        os.remove(path)
