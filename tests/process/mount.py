"""Files as the kubelet mounts them from a ConfigMap or a Secret."""

from pathlib import Path


class Mount:
    """A folder with one file, which leads through `..data`: every write swaps that link in one step."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._folder = folder
        self._version = 0

    def write(self, text: str) -> None:
        """Have the file hold `text`, in a new folder."""
        self._version += 1
        version = self._folder / f"..{self._version}"
        version.mkdir(parents=True)
        (version / self.path.name).write_text(text)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self._folder / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to(f"..data/{self.path.name}")
