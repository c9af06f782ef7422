"""Answers that are almost right: what a server of another version, or a broken one, might say."""

import random


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return data with some of its bytes changed, left out, or put in, most of them near the beginning."""
    found = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 4, 16])):
        at = min(dice.randrange(len(data)), dice.randrange(len(data)))
        length = dice.randrange(1, 20)
        match dice.randrange(4):
            case 0 | 1:
                found[at : at + 1] = dice.randbytes(1)
            case 2:
                del found[at : at + length]
            case _:
                found[at:at] = dice.randbytes(length)
    return bytes(found)
