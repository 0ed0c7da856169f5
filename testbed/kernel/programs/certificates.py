"""Certificates for programs that speak TLS, made on the spot by openssl."""

import os
from pathlib import Path

from testbed.errors import KernelError
from testbed.kernel.programs.run import run

TIMEOUT_S = 10.0  # 20 ms really
DAYS = 365


def self_signed(file: Path, name: str) -> None:
    """Writes a certificate of its own authority for a name, and its key, into one file.

    Raises MissingFeature (no openssl), KernelError (with openssl's words).
    """
    argv = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec"]
    argv += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", str(DAYS)]
    argv += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    made = run([*argv, "-keyout", "-", "-out", "-"], timeout_s=TIMEOUT_S)
    if made.returncode:
        raise KernelError(f"openssl made no certificate for {name}: {made.stderr.strip()}")
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(made.stdout)
