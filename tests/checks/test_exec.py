"""The check type `exec`."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from sidecar.config.problems import ConfigError
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.result import Outcome
from sidecar.runtime.runner import CANCEL_GRACE
from sidecar.support.text import Redactor
from tests.checks.contract import (
    SECRET,
    SLACK,
    SUCCESS,
    assert_held,
    checked,
    ending,
    held,
    load_one,
    mounted,
    run_once,
    turn_the_loop,
)


def keys(*command: str, **more: object) -> Mapping[str, object]:
    return {"type": "exec", "command": list(command), **more}


def shell(script: str, *arguments: str, **more: object) -> Mapping[str, object]:
    return keys("sh", "-c", script, "sh", *arguments, **more)


def failed(reason: Reason, message: str) -> tuple[Outcome, Reason, str]:
    return Outcome.FAILURE, reason, message


async def pid_in(path: Path) -> int:
    """Return the process id that a command writes to a file."""
    while not path.exists() or not path.read_text().endswith("\n"):  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.005)
    return int(path.read_text())


async def gone(pid: int) -> bool:
    """Return whether a process comes to its end within two seconds."""
    for _ in range(200):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class TestEnding:
    async def test_zero_is_success(self) -> None:
        assert ending(await run_once(keys("true"))) == SUCCESS

    async def test_a_code_stands_in_the_message(self) -> None:
        assert ending(await run_once(keys("false"))) == failed(Reason.CONTRACT, "false exited with 1")

    async def test_the_last_line_of_the_output_stands_beside_the_code(self) -> None:
        script = "echo one; echo two >&2; printf '\\n\\tthree\\001 \\n\\n'; exit 42"

        assert ending(await run_once(shell(script))) == failed(Reason.CONTRACT, "sh exited with 42: three")

    async def test_a_signal_is_named(self) -> None:
        result = await run_once(shell("echo dying; kill -SEGV $$"))

        assert ending(result) == failed(Reason.CONTRACT, "sh was killed by SIGSEGV: dying")

    async def test_a_signal_without_a_name_has_its_number(self) -> None:
        assert ending(await run_once(shell("kill -40 $$"))) == failed(
            Reason.CONTRACT, "sh was killed by signal 40"
        )

    async def test_output_that_is_not_text_is_no_crash(self) -> None:
        result = await run_once(shell("printf '\\377\\376 oh'; exit 1"))

        assert ending(result) == failed(Reason.CONTRACT, "sh exited with 1: \ufffd\ufffd oh")

    async def test_of_long_output_the_end_counts(self) -> None:
        result = await run_once(shell("yes | head -c 3000000; echo; echo the end; exit 1"))

        assert ending(result) == failed(Reason.CONTRACT, "sh exited with 1: the end")

    async def test_a_secret_in_the_output_is_blotted_out_by_the_runner(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PASSWORD", SECRET)
        command = shell('echo "no: $PASSWORD"; exit 1', env={"PASSWORD": "${PASSWORD}"})
        result = await run_once(command)

        assert result.message == f"sh exited with 1: no: {SECRET}"
        assert Redactor(load_one(command).secrets)(result.message) == "sh exited with 1: no: ***"


class TestStarting:
    async def test_a_command_that_does_not_exist(self) -> None:
        assert ending(await run_once(keys("no-such-command", "x"))) == failed(
            Reason.NOT_FOUND, "no-such-command: command not found"
        )

    @pytest.mark.parametrize(
        ("content", "mode", "reason", "what"),
        [
            ("#!/bin/sh\n", 0o644, Reason.FORBIDDEN, " may not be executed"),
            ("#!/no/such/interpreter\n", 0o755, Reason.NOT_FOUND, ": command not found"),
            ("", 0o755, Reason.UNAVAILABLE, ": exec format error"),
        ],
    )
    async def test_a_file_that_cannot_be_executed(
        self, tmp_path: Path, content: str, mode: int, reason: Reason, what: str
    ) -> None:
        program = tmp_path / "program"
        program.write_text(content)
        program.chmod(mode)

        assert ending(await run_once(keys(str(program)))) == failed(reason, f"{program}{what}")

    async def test_a_folder_is_no_command(self, tmp_path: Path) -> None:
        assert ending(await run_once(keys(str(tmp_path)))) == failed(
            Reason.FORBIDDEN, f"{tmp_path} may not be executed"
        )

    async def test_no_shell_reads_the_arguments(self) -> None:
        assert ending(await run_once(shell("test \"$1$2\" = '$HOME*'", "$HOME", "*"))) == SUCCESS

    async def test_it_reads_nothing_from_us(self) -> None:
        assert ending(await run_once(keys("cat"))) == SUCCESS

    async def test_it_gets_its_own_variables_and_few_of_ours(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("REDIS_PASSWORD", SECRET)
        monkeypatch.setenv("TZ", "UTC")
        monkeypatch.setenv("LANG", "C")
        variables = {"LANG": "C.UTF-8", "DATABASE": "a b"}
        await run_once(shell("env > $1", str(tmp_path / "env"), env=variables))

        lines = (tmp_path / "env").read_text().splitlines()
        seen = {line for line in lines if not line.startswith(("PWD=", "OLDPWD=", "SHLVL=", "_="))}
        ours = {
            f"{name}={os.environ[name]}" for name in ("PATH", "HOME", "LC_ALL", "TZ") if name in os.environ
        }
        assert seen == {"LANG=C.UTF-8", "DATABASE=a b", *ours}


class TestKilling:
    async def test_at_the_deadline_the_whole_group_is_killed(self, tmp_path: Path) -> None:
        child = tmp_path / "child"
        result = await run_once(
            shell('trap "" TERM INT HUP; sleep 1000 & echo $! > $1; wait; wait', str(child)), deadline="300ms"
        )

        assert ending(result) == failed(Reason.TIMEOUT, "sh: gave no answer within 300ms")
        assert result.duration < 0.3 + CANCEL_GRACE + SLACK
        assert await gone(await pid_in(child))

    async def test_what_a_command_leaves_running_is_killed(self, tmp_path: Path) -> None:
        child = tmp_path / "child"
        result = await run_once(shell("sleep 1000 & echo $! > $1", str(child)))

        assert ending(result) == SUCCESS
        assert await gone(await pid_in(child))

    async def test_one_who_leaves_the_group_holds_nobody_up(self, tmp_path: Path) -> None:
        child = tmp_path / "child"
        before = held()
        result = await run_once(
            shell("setsid sh -c 'echo $$ > $0; exec sleep 1000' $1 & sleep 0.2", str(child))
        )
        await assert_held(before)
        escaped = await pid_in(child)
        was_running = is_running(escaped)
        os.kill(escaped, 9)

        assert (ending(result), was_running) == (SUCCESS, True)

    async def test_an_endless_writer_fills_nothing_and_holds_up_nobody(self) -> None:
        before, lags = held(), []
        async with mounted(keys("yes"), deadline="500ms") as runner:
            run = asyncio.create_task(runner.run())
            clock = asyncio.get_running_loop().time
            while not run.done():
                asked = clock()
                await asyncio.sleep(0.001)
                lags.append(clock() - asked)
        await assert_held(before)

        assert ending(await run) == failed(Reason.TIMEOUT, "yes: gave no answer within 500ms")
        assert sorted(lags)[len(lags) // 2] < 0.1

    async def test_one_who_closes_its_output_costs_nothing_until_it_ends(self) -> None:
        used = time.process_time()
        result = await run_once(shell("exec >&- 2>&-; exec sleep 0.5"))

        assert ending(result) == SUCCESS
        assert time.process_time() - used < 0.25

    async def test_the_output_is_taken_after_a_run_that_was_cancelled(self) -> None:
        async with checked(keys("sleep", "1000")) as check:
            run = asyncio.create_task(check.run())
            await asyncio.wait({run}, timeout=0.1)
            run.cancel()
            await asyncio.wait({run})
        result = await run_once(shell("yes | head -c 1000000; echo the end; exit 1"), deadline="5s")

        assert ending(result) == failed(Reason.CONTRACT, "sh exited with 1: the end")

    async def test_a_run_that_is_cancelled_kills(self, tmp_path: Path) -> None:
        child, before = tmp_path / "child", held()
        async with checked(shell("echo $$ > $1; exec sleep 1000", str(child))) as check:
            run = asyncio.create_task(check.run())
            pid = await pid_in(child)
            run.cancel()
            await asyncio.wait({run}, timeout=CANCEL_GRACE)

            assert run.cancelled()
            assert await gone(pid)
            await assert_held(before)

    async def test_closing_kills(self, tmp_path: Path) -> None:
        child = tmp_path / "child"
        async with mounted(shell("echo $$ > $1; exec sleep 1000", str(child))) as runner:
            run = asyncio.create_task(runner.run())
            pid = await pid_in(child)
            await runner.check.aclose()
            await runner.check.aclose()

            assert ending(await run) == failed(Reason.CONTRACT, "sh was killed by SIGKILL")
            assert await gone(pid)

    async def test_may_be_cancelled_at_any_moment(self) -> None:
        before = held()
        async with mounted(keys("true")) as runner:
            for turns in range(30):
                run = asyncio.create_task(runner.check.run())
                await turn_the_loop(turns)
                run.cancel()
                await asyncio.wait({run}, timeout=CANCEL_GRACE + SLACK)
                assert run.done()
            assert ending(await runner.run()) == SUCCESS

        await assert_held(before)

    async def test_a_start_that_hangs_times_out_and_is_killed_when_it_succeeds(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, answering, start = held(), threading.Event(), subprocess.Popen.__init__
        monkeypatch.setattr(
            subprocess.Popen, "__init__", lambda *args, **kw: (answering.wait(), start(*args, **kw))[1]
        )
        async with mounted(keys("sleep", "1000"), deadline="50ms") as runner:
            hung = {(await runner.run()).reason for _ in range(5)}
            threads = [thread.name for thread in threading.enumerate() if thread.name == "exec:it"]
            answering.set()
            await assert_held(before)

        assert (hung, threads) == ({Reason.TIMEOUT}, ["exec:it"])

    async def test_a_command_closed_before_it_is_started_never_is(self, tmp_path: Path) -> None:
        async with checked(shell("touch $1", str(tmp_path / "touched"))) as check:
            run = asyncio.create_task(check.run())
            await turn_the_loop(1)
            await check.aclose()
            with pytest.raises(CheckFailed, match="was killed by SIGKILL"):
                await asyncio.wait_for(run, 5)

        assert not (tmp_path / "touched").exists()

    def test_orphans_that_become_ours_are_reaped(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", AS_PID_1], capture_output=True, text=True, timeout=30, check=False
        )

        assert (ended.stderr, ended.stdout) == ("", "in the group: none\nescaped: none\n")


AS_PID_1 = """
import asyncio, ctypes, os, time
from sidecar.support.process import CommandRunner

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

def children():
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) or "alive"
    except ChildProcessError:
        return "none"

async def main():
    runner = CommandRunner("test")
    await runner.run(["sh", "-c", "(sleep 1000 &) ; (sleep 0 &)"], {})
    print("in the group:", children())
    await runner.run(["sh", "-c", "setsid sleep 0.2 & sleep 0.1"], {})
    assert children() == "alive"
    while children() == "alive":
        time.sleep(0.01)
    for _ in range(2):
        await runner.run(["true"], {})
    print("escaped:", children())

asyncio.run(main())
"""
"""A program whose descendants become its children when their parents end, as those of PID 1 do."""


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"command": []}, "command: is empty; write a command, such as [pg_isready, -q]"),
        ({"command": ["a\0b"]}, "command[0]: holds a NUL character; remove it"),
        ({"env": {"A=B": "c"}}, "env: 'A=B' is not the name of a variable"),
    ],
)
def test_what_cannot_be_meant_is_refused(changed: Mapping[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_one({**keys("true"), **changed})

    (only,) = raised.value.problems
    assert f"{only.path.removeprefix('checks.it.')}: {only.sentence}" == problem


def test_a_text_is_no_command() -> None:
    with pytest.raises(ConfigError, match="write a list"):
        load_one({"type": "exec", "command": "pg_isready -q"})


def test_only_what_comes_from_outside_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)
    config = load_one(
        keys("psql", "--password=${PASSWORD}", env={"PGPORT": "5432", "PGPASSWORD": "${PASSWORD}"})
    )

    assert config.secrets == {SECRET}
    assert SECRET not in f"{config!r} {config.checks[0]!r} {config.checks[0].target}"
