"""What SimCluster raises."""


class Violation(AssertionError):
    """A rule of the protocol was broken. `check` is its name, as the core's simulator has it."""

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(check, detail)
        self.check = check
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"
