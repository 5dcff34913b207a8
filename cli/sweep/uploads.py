"""Each picture of a sweep is sent once; its jobs name it by its id."""

from cli.client import ApiProblem, Client, Stored
from cli.sweep.grid import Picture

_POINTERS = ("/content", "/style")


class Uploads:
    """The pictures that the service has had from us."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, Stored] = {}

    def stored(self, picture: Picture) -> Stored:
        """Its id at the service, which gets it now if it has not had it. Raises StrataError."""
        if picture.digest not in self._known:
            self._known[picture.digest] = self._client.upload(picture.data)
        return self._known[picture.digest]

    def forget(self) -> None:
        """Send every picture again when it is next needed: uploads that no job uses do not live for ever."""
        self._known.clear()


def about_pictures(problem: ApiProblem) -> bool:
    """Whether a job was refused for its pictures."""
    return any(error.pointer.startswith(_POINTERS) for error in problem.problem.errors)
