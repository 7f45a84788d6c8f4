"""Loaded in a build back end's process: questions about the machine are answered as the target would."""

# mypy: ignore-errors

import os
import platform
import sysconfig

if os.environ.get("OT2_CROSS_MACHINE"):
    machine = os.environ["OT2_CROSS_MACHINE"]
    bits = "32bit" if machine == "armv7l" else "64bit"
    real = os.uname()
    uname = os.uname_result((real[0], "cross", real[2], real[3], machine))
    host_paths = sysconfig.get_paths

    def target_paths(*args, **kwargs):
        """sysconfig.get_paths with the target's headers: it makes them from sys.base_prefix, not from its data."""
        found = host_paths(*args, **kwargs)
        found.update({key: os.environ["OT2_CROSS_INCLUDE"] for key in ("include", "platinclude") if key in found})
        return found

    def target_path(name, *args, **kwargs):
        """sysconfig.get_path by way of target_paths."""
        return target_paths(*args, **kwargs)[name]

    os.uname = lambda: uname
    platform.machine = lambda: machine
    platform.architecture = lambda *_args, **_kwargs: (bits, "ELF")
    platform.libc_ver = lambda *_args, **_kwargs: ("glibc", os.environ["OT2_CROSS_GLIBC"])
    platform._uname_cache = None
    sysconfig.get_paths, sysconfig.get_path = target_paths, target_path
