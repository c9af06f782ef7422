"""Drivers: imported when needed, and missed in words that help."""

import subprocess
import sys

import pytest

from sidecar.support.driver import Driver, MissingDriverError


def test_a_driver_is_imported_at_first_use() -> None:
    program = (
        "import sys\n"
        "from sidecar.support.driver import Driver\n"
        "colours = Driver('colorsys', extra='colours')\n"
        "print(str(colours), colours.is_installed(), 'colorsys' in sys.modules)\n"
        "print(colours.ONE_SIXTH > 0, 'colorsys' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout == "colorsys True False\nTrue True\n"


def test_a_submodule_is_imported_with_its_package() -> None:
    assert Driver("xml.dom", extra="x").load() is sys.modules["xml.dom"]


def test_a_missing_driver_names_its_extra() -> None:
    driver = Driver("no_such_driver.asyncio", extra="redis")

    assert not driver.is_installed()
    with pytest.raises(MissingDriverError) as raised:
        driver.connect()
    assert str(raised.value) == (
        "the driver no_such_driver.asyncio is not installed; install the extra: pip install 'sidecar[redis]'"
    )


def test_a_name_that_the_module_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = Driver("json", extra="x").no_such_name
