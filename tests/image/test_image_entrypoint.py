"""The entry point as process 1: other commands, exit codes, signals, orphans."""

from tests.image.containers import Container, run

ZOMBIES = "cat /proc/[0-9]*/stat | grep -c ') Z ' || true"


def test_any_command_is_run(image: str) -> None:
    assert run(image, "python", "-m", "byoc.version") == ""


def test_exit_code_is_returned(image: str) -> None:
    with Container(image, "bash", "-c", "exit 7") as container:
        assert container.wait() == 7


def test_fatal_signal_becomes_exit_code(image: str) -> None:
    with Container(image, "bash", "-c", "kill -KILL $$") as container:
        assert container.wait() == 137


def test_default_command_is_train(image: str) -> None:
    """The local container mode of the SDK's ModelTrainer depends on it."""
    with Container(image, expect=["^error: .*hyperparameters.json is missing; mount"]) as container:
        assert container.wait() == 1


def test_unknown_command_exits_with_127(image: str) -> None:
    with Container(
        image, "trian", expect=["^error: cannot run trian: .* expected train, serve"]
    ) as container:
        assert container.wait() == 127


def test_sigterm_is_forwarded(image: str) -> None:
    trap = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    with Container(image, "bash", "-c", trap) as container:
        container.wait_for("ready")
        assert container.stop(10) == 3
        container.wait_for("got it")


def test_orphans_are_reaped(image: str) -> None:
    """An orphan becomes a child of process 1, which has to wait for it."""
    with Container(image, "bash", "-c", "(sleep 0.2 &) ; sleep 60") as container:
        container.wait_for("^", 5)
        assert container.execute("bash", "-c", f"sleep 1; {ZOMBIES}") == "0"


def test_command_gets_the_terminal(image: str) -> None:
    """With job control, so that Ctrl-C in `docker run -it IMAGE bash` ends a command and not the shell."""
    script = "set -m && sleep 0 && echo 'pgrp and tpgid:' $(cut -d' ' -f5,8 /proc/$$/stat)"
    with Container(image, "bash", "-ic", script, options=["--tty", "--interactive"]) as container:
        assert container.wait() == 0
        pgrp, tpgid = container.log().split("pgrp and tpgid:")[1].split()[:2]
    assert pgrp == tpgid
