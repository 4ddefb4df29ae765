"""Whether a disk is full or lost, which is nobody's fault and stops a whole study."""

import errno
import tempfile

DISK = errno.ENOSPC, errno.EDQUOT, errno.EROFS
ROOM = 64  # MiB that a disk must take, or it is held to be full


def disk_caused(error: BaseException) -> bool:
    """Tell whether an error, or one that led to it, is a disk's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in DISK:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def disk_fault(folder: str) -> str:
    """Say by writing to it what ails a folder's disk, full or lost; nothing where it is well."""
    if not folder:
        return ""
    try:  # the frameworks' own errors, which replace the system's, have no number
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(ROOM):
                file.write(bytes(2**20))
    except OSError as failure:
        return str(failure.strerror) if failure.errno in DISK else ""
    return ""
