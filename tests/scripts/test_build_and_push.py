"""build_and_push.sh with fake docker and aws programs; tests/image pushes for real."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "build_and_push.sh"
COPIED = (SCRIPT, "Dockerfile", "pyproject.toml", "container/requirements.txt", "local_test/model.sh")
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

# Both record their calls. FAKE selects a fault.
AWS = f"""#!/bin/bash
echo "aws $*" >>"$CALLS"
complain() {{ printf '\\n%s\\nsecond line\\n' "$1" >&2; exit 254; }}
case "$FAKE $1 $2" in
    "no-credentials sts get-caller-identity") complain "Unable to locate credentials" ;;
    *"sts get-caller-identity") echo '{{}}' ;;
    "no-repository ecr describe-repositories" | "no-create ecr describe-repositories")
        complain "An error occurred (RepositoryNotFoundException)" ;;
    "no-describe ecr describe-repositories") complain "An error occurred (AccessDeniedException)" ;;
    "no-create ecr create-repository") complain "An error occurred (AccessDeniedException)" ;;
    *"ecr describe-repositories" | *"ecr create-repository") echo "${{HOST:-{HOST}}}/${{NAME:-sentiment}}" ;;
    "no-password ecr get-login-password") complain "An error occurred (AccessDeniedException)" ;;
    *"ecr get-login-password") echo s3cret ;;
    "no-region configure get") exit 1 ;;
    *"configure get") echo eu-west-1 ;;
esac
"""
DOCKER = """#!/bin/bash
echo "docker $* [$DOCKER_BUILDKIT]" >>"$CALLS"
echo "chatter of docker"
case "$FAKE $1" in
    "no-engine version") echo "Cannot connect to the Docker daemon" >&2; exit 1 ;;
    *" login") echo "stdin: $(cat)" >>"$CALLS" ;;&
    *" build")
        for path in "${!#}"/.model/*/* "${!#}"/.model-requirements.txt; do
            [[ ! -e $path ]] || echo "context ${path#"${!#}/"}" >>"$CALLS"
        done ;;&
    "no-login login") echo "401 Unauthorized" >&2; exit 1 ;;
    "no-build build" | "no-push push" | "no-buildx buildx") exit 1 ;;
    *" buildx") [[ $BUILDX == yes ]] ;;
esac
"""


class Outcome(NamedTuple):
    """Exit code, output and recorded calls of a run."""

    code: int
    stdout: str
    stderr: str
    calls: list[str]

    def call(self, beginning: str) -> str:
        """The only call with this beginning."""
        (call,) = [call for call in self.calls if call.startswith(beginning)]
        return call


class Machine:
    """A PATH with common tools and the fake programs, and a copy of the script."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        for tool in [
            "awk",
            "bash",
            "cat",
            "cp",
            "dirname",
            "env",
            "git",
            "grep",
            "mkdir",
            "mktemp",
            "rm",
            "sed",
        ]:
            real = shutil.which(tool)
            assert real
            (self.bin / tool).symlink_to(real)
        self.add("aws", AWS)
        self.add("docker", DOCKER)
        self.project = folder / "project"
        for name in COPIED:
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.project / name)

    def add(self, name: str, program: str) -> None:
        """Put a program on the PATH."""
        (self.bin / name).write_text(program)
        (self.bin / name).chmod(0o755)

    def remove(self, name: str) -> None:
        """Take a program off the PATH."""
        (self.bin / name).unlink()

    def run(self, *arguments: str, fake: str = "", **environment: str) -> Outcome:
        """Run the copy of the script, with / as the current folder."""
        self.calls.write_text("")
        variables = {"PATH": str(self.bin), "CALLS": str(self.calls), "FAKE": fake, **environment}
        done = subprocess.run(
            [self.project / SCRIPT, *arguments],
            env=variables, capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr, self.calls.read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of the test alone."""
    return Machine(tmp_path)


def test_stdout_is_only_the_uri(machine: Machine) -> None:
    assert machine.run("sentiment", "v1").stdout == f"{HOST}/sentiment:v1\n"


def test_name_and_tag_have_defaults(machine: Machine) -> None:
    outcome = machine.run()
    assert "--repository-names sagemaker-sentiment-lstm " in outcome.call("aws ecr describe-repositories")
    assert outcome.stdout.endswith(":latest\n")


def test_build_is_for_amd64_with_buildkit(machine: Machine) -> None:
    call = machine.run("sentiment").call("docker build ")
    assert "--platform linux/amd64" in call
    assert call.endswith("[1]")


def test_built_image_is_pushed(machine: Machine) -> None:
    outcome = machine.run("sentiment", "v1")
    assert f"--tag {HOST}/sentiment:v1 " in outcome.call("docker build ")
    assert outcome.calls[-1] == f"docker push {HOST}/sentiment:v1 []"


def test_buildx_builds_without_attestations(machine: Machine) -> None:
    calls = [c for c in machine.run("sentiment", BUILDX="yes").calls if c.startswith("docker buildx build")]
    assert len(calls) == 2
    assert all("--provenance=false --sbom=false" in call for call in calls)


def test_buildx_pushes_docker_media_types(machine: Machine) -> None:
    last = machine.run("sentiment", BUILDX="yes").calls[-1]
    assert "--output type=image,push=true,oci-mediatypes=false" in last


def test_password_is_passed_through_stdin(machine: Machine) -> None:
    outcome = machine.run("sentiment")
    assert "stdin: s3cret" in outcome.calls
    assert not any("s3cret" in call for call in outcome.calls if not call.startswith("stdin"))


def test_login_is_at_the_host_from_ecr(machine: Machine) -> None:
    host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    outcome = machine.run("--region", "cn-north-1", "sentiment", HOST=host)
    assert outcome.call("docker login").endswith(f"{host} []")
    assert outcome.stdout == f"{host}/sentiment:latest\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "region"),
    [
        (["--region", "us-gov-west-1"], {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "us-gov-west-1"),
        (["--region=us-gov-west-1"], {"AWS_REGION": "a"}, "us-gov-west-1"),
        ([], {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "b"}, "us-west-2"),
        ([], {"AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2"),
        ([], {}, "eu-west-1"),
    ],
)
def test_region_comes_from(
    machine: Machine, arguments: list[str], environment: dict[str, str], region: str
) -> None:
    calls = machine.run(*arguments, **environment).calls
    asked = [call for call in calls if call.startswith(("aws ecr", "aws sts"))]
    assert len(asked) == 3
    assert all(f"--region {region}" in call for call in asked)


def test_existing_repository_is_not_created(machine: Machine) -> None:
    assert not any("create-repository" in call for call in machine.run().calls)


def test_missing_repository_is_created_with_scans(machine: Machine) -> None:
    call = machine.run("sentiment", fake="no-repository").call("aws ecr create-repository")
    assert "--repository-name sentiment --image-scanning-configuration scanOnPush=true" in call


@pytest.mark.parametrize(
    ("fake", "says"),
    [
        ("no-engine", "the Docker engine does not answer; start it"),
        ("no-credentials", "run aws configure or aws sso login: Unable to locate credentials"),
        ("no-describe", "you need ecr:DescribeRepositories: An error occurred (AccessDeniedException)"),
        ("no-create", "you need ecr:CreateRepository: An error occurred (AccessDeniedException)"),
        ("no-password", "you need ecr:GetAuthorizationToken"),
        ("no-login", f"Docker cannot log in to {HOST}: 401 Unauthorized"),
        ("no-build", "the build failed"),
        ("no-push", "the push was refused; you need ecr:"),
        ("no-region", "no region; use --region"),
    ],
)
def test_failure_is_one_line_with_remedy(machine: Machine, fake: str, says: str) -> None:
    outcome = machine.run(fake=fake)
    assert outcome.code == 1
    assert outcome.stdout == ""
    errors = [line for line in outcome.stderr.splitlines() if line != "chatter of docker"]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert says in errors[0]


@pytest.mark.parametrize("fake", ["no-describe", "no-credentials", "no-engine"])
def test_failure_prevents_the_build(machine: Machine, fake: str) -> None:
    calls = machine.run(fake=fake).calls
    assert not any(call.startswith(("docker build", "aws ecr create-repository")) for call in calls)


@pytest.mark.parametrize("program", ["docker", "aws"])
def test_missing_program_is_named(machine: Machine, program: str) -> None:
    machine.remove(program)
    outcome = machine.run()
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"error: {program} is not on PATH; install it: https://")


def test_no_push_needs_no_aws(machine: Machine) -> None:
    machine.remove("aws")
    outcome = machine.run("--no-push", "sentiment", "v1")
    assert outcome.stdout == "sentiment:v1\n"
    assert [call.split()[:2] for call in outcome.calls][-1] == ["docker", "build"]


def test_dry_run_runs_nothing(machine: Machine) -> None:
    machine.remove("docker")
    machine.remove("aws")
    outcome = machine.run("--dry-run")
    assert outcome.code == 0
    assert outcome.calls == []


@pytest.mark.parametrize(
    "command",
    [
        "aws sts get-caller-identity",
        "aws ecr describe-repositories",
        "aws ecr create-repository",
        "aws ecr get-login-password",
        "docker login",
        "docker buildx build",
        "push=true",
    ],
)
def test_dry_run_shows(machine: Machine, command: str) -> None:
    assert command in machine.run("--dry-run").stderr


def test_cpu_variant_changes_base_and_index(machine: Machine) -> None:
    call = machine.run("--cpu").call("docker build ")
    assert "BASE_IMAGE=ubuntu:24.04" in call
    assert "TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu" in call


def test_environment_sets_base_and_index(machine: Machine) -> None:
    call = machine.run("--cpu", BASE_IMAGE="mine:1", TORCH_INDEX_URL="").call("docker build ")
    assert "--build-arg BASE_IMAGE=mine:1 --build-arg TORCH_INDEX_URL= " in call


def test_default_base_is_the_dockerfiles(machine: Machine) -> None:
    call = machine.run().call("docker build ")
    assert "BASE_IMAGE" not in call
    assert "TORCH_INDEX_URL" not in call


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Sentiment"], "IMAGE_NAME is Sentiment; expected 2 to 256 lower-case"),
        (["a//b"], "IMAGE_NAME is a//b"),
        (["a"], "IMAGE_NAME is a; expected 2 to 256"),
        (["a" * 257], "IMAGE_NAME is aaa"),
        (["a..b"], "IMAGE_NAME is a..b"),
        (["ab", "-b"], "unknown option -b"),
        (["ab", "b:c"], "TAG is b:c; expected"),
        (["a", "b", "c"], "expected at most IMAGE_NAME and TAG, got: a b c"),
        (["--regoin", "x"], "unknown option --regoin"),
        (["--region"], "--region needs a value"),
    ],
)
def test_wrong_arguments_are_refused(machine: Machine, arguments: list[str], says: str) -> None:
    outcome = machine.run(*arguments)
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"error: {says}")
    assert outcome.calls == []


def test_help_names_every_option(machine: Machine) -> None:
    outcome = machine.run("--help")
    assert outcome.code == 0
    assert all(
        option in outcome.stdout for option in ("--model", "--region", "--cpu", "--dry-run", "--no-push")
    )


def test_remote_password_stays_out_of_the_image(machine: Machine) -> None:
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in (["init", "-q"], ["remote", "add", "origin", "https://me:pw@example.com/x"]):
        subprocess.run(["git", "-C", machine.project, *command], check=True, env=variables)
    (machine.project / "pyproject.toml").write_text('version = "1.2.3"\n')
    call = machine.run("--no-push").call("docker build ")
    assert "--build-arg VERSION=1.2.3 " in call
    assert "--build-arg SOURCE=https://example.com/x " in call


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model package outside the clone."""
    folder = tmp_path / "elsewhere" / "my_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    return folder


def test_model_is_in_the_build_context(machine: Machine, package: Path) -> None:
    (package / "requirements.txt").write_text("some==1.0 --hash=sha256:0\n")
    outcome = machine.run("--no-push", "--model", str(package))
    assert [call for call in outcome.calls if call.startswith("context")] == [
        "context .model/my_model/__init__.py",
        "context .model/my_model/requirements.txt",
        "context .model-requirements.txt",
    ]
    assert "--build-arg MODEL_PACKAGE=my_model " in outcome.call("docker build ")


@pytest.mark.parametrize("fake", ["", "no-build"])
def test_model_leaves_the_build_context(machine: Machine, package: Path, fake: str) -> None:
    machine.run("--no-push", "--model", str(package), fake=fake)
    assert not (machine.project / ".model").exists()


def test_build_removes_a_model_left_over(machine: Machine) -> None:
    (machine.project / ".model-requirements.txt").touch()
    assert not any(call.startswith("context") for call in machine.run("--no-push").calls)


def test_model_names_the_default_image(machine: Machine, package: Path) -> None:
    assert machine.run("--no-push", "--model", str(package)).stdout == "sagemaker-my-model:latest\n"


def test_wrong_model_prevents_the_build(machine: Machine) -> None:
    outcome = machine.run("--model", "/nowhere")
    assert (outcome.code, outcome.calls) == (1, [])
    assert outcome.stderr == "error: --model: /nowhere is not a folder\n"


@pytest.fixture
def python(machine: Machine) -> None:
    """A Python that records its arguments."""
    program = machine.project / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/bash\n[[ $1 == -c ]] || echo "python $*" >>"$CALLS"\n')
    program.chmod(0o755)


@pytest.mark.usefixtures("python")
def test_codebuild_needs_no_docker(machine: Machine) -> None:
    machine.remove("docker")
    outcome = machine.run("--codebuild", "--cpu", "--dry-run", "--region", "eu-west-1", "sentiment", "v1")
    assert outcome.code == 0
    assert outcome.calls == [
        f"python -m jobs --model {machine.project}/code/sentiment build sentiment v1"
        " --region eu-west-1 --cpu --dry-run"
    ]


def test_codebuild_and_no_push_exclude_each_other(machine: Machine) -> None:
    assert "--codebuild and --no-push exclude each other" in machine.run("--codebuild", "--no-push").stderr
