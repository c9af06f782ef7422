"""What can go wrong with the cluster's API, in one type."""


class ApiError(Exception):
    """The cluster's API could not be asked, or refused; the message is one sentence, never with the token.

    `status` is the answer's, None where none came: then nobody knows whether the request was carried out.
    `retry_after` are the seconds for which the API wants to be left alone.
    """

    def __init__(self, sentence: str, *, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.retry_after = retry_after
