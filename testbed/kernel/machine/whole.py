"""Files that a reader finds as they were or as they are, never half written."""

from pathlib import Path


def write(file: Path, text: str) -> None:
    """Put a text in the place of a file's, or of none.

    Raises OSError, which names the file, on a full file system; the old text is there then.
    """
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as refused:
        new.unlink(missing_ok=True)
        refused.filename = refused.filename or str(file)
        raise
