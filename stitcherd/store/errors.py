"""What goes wrong in a store, whatever database it has."""


class StorageUnavailable(Exception):
    """Nothing was stored or read: the disk is full, or the database is locked, unreadable or away.

    `lacks_space`: room on the disk may help.
    """

    def __init__(self, reason: str, *, lacks_space: bool = False) -> None:
        super().__init__(reason)
        self.lacks_space = lacks_space


class Conflict(Exception):
    """Nothing was stored: a constraint of the database forbids it, such as that there is one row of a key."""


class UnusableDatabase(Exception):
    """The database cannot be used as a store; the text says why, and the remedy."""
