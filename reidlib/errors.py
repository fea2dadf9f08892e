"""The errors that reidlib raises on purpose: one sentence, the thing, the mend."""


class ReIDError(Exception):
    """Something a user can mend; the command line prints it without a traceback."""


class ReIDDataError(ReIDError):
    """Files on disk are missing, broken or laid out another way than expected."""


class ReIDConfigError(ReIDError):
    """An argument, a parameter or a profile cannot be used as given."""
