"""What is said of scaling is of the sizes that were measured, and of expositions that were written anew."""

import pytest

from benchmarks.rows import Met
from benchmarks.scale import Scraper, Size, Timed, rows


def test_an_exposition_that_was_given_out_again_is_not_taken_for_a_new_one() -> None:
    answers = [Timed(9.0, b"runs 1"), Timed(1.0, b"runs 1"), Timed(2.0, b"runs 1"), Timed(8.0, b"runs 2")]
    scraper = Scraper(8080)

    found = [scraper.until_new(lambda _port: answers.pop(0)) for _ in range(2)]

    assert found == [Timed(9.0, b"runs 1"), Timed(8.0, b"runs 2")]
    assert scraper.kept == [1.0, 2.0]


@pytest.mark.parametrize(("grown", "met"), [(1.0, Met.YES), (2.0, Met.NO)])
def test_what_costs_twice_as_much_with_ten_times_as_many_is_not_linear(grown: float, met: Met) -> None:
    sizes = {
        count: Size(
            memory=1000 + count * cost,
            run=cost,
            scrape=count * cost,
            kept=1.0,
            probe=1.0,
            body=round(100 * count * cost),
        )
        for count, cost in ((1, 1.0), (10, 1.0), (100, grown))
    }

    judged = [row.target.judge(row.value) for row in rows(sizes) if "against" in row.what]

    assert judged == [met] * 4
