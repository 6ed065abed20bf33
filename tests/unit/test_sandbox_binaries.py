"""Finding and naming the sandbox's executables: versions, cache keys, and messages about what a machine lacks."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import binaries, go_build
from sandbox.processes import SandboxError


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.22 linux/arm64", (1, 22)),
        ("v3.259.0\n", (3, 259, 0)),
        ("3.221.0-alpha.1", (3, 221, 0)),
        ("go 1.26", (1, 26)),
        ("command not found", ()),
        ("", ()),
    ],
)
def test_versions_are_read_from_what_tools_print(text: str, version: tuple[int, ...]) -> None:
    assert go_build.parse_version(text) == version


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH holds only what a test puts there."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def command(machine: dict[str, str], name: str, script: str) -> Path:
    path = Path(machine["PATH"]) / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def fill_cache(machine: dict[str, str], *, without: tuple[str, ...] = ()) -> Path:
    folder = binaries.cache_folder(machine)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*(program.name for program in binaries.PROGRAMS), *binaries.SCRIPTS]:
        if name not in without:
            (folder / name).touch(mode=0o755)
    stamp = binaries._stamp()
    (folder / "pulumi-language-python.source").write_text(stamp)
    return folder


def test_no_go_says_which_version_and_where_to_get_it(machine: dict[str, str]) -> None:
    with pytest.raises(
        SandboxError, match=r"Go 1\.26\S* or newer .* no `go` is on PATH; install Go from https://go\.dev"
    ):
        go_build.check_go("pulumi", machine)


@pytest.mark.parametrize(
    ("version", "toolchain", "reason"),
    [("1.19.8", "auto", r"`go version go1\.19\.8"), ("1.22.1", "local", "GOTOOLCHAIN=local forbids")],
)
def test_go_too_old_is_refused(machine: dict[str, str], version: str, toolchain: str, reason: str) -> None:
    command(machine, "go", f'[ "$1" = version ] && echo "go version go{version} linux/amd64" || echo {toolchain}')
    with pytest.raises(SandboxError, match=reason):
        go_build.check_go("kubernetes", machine)


def test_older_go_that_may_fetch_a_newer_one_is_taken(machine: dict[str, str]) -> None:
    go = command(machine, "go", '[ "$1" = version ] && echo "go version go1.22.1 linux/amd64" || echo auto')
    assert go_build.check_go("kubernetes", machine) == str(go)


def test_small_missing_tools_are_named_with_a_way_to_get_them(machine: dict[str, str]) -> None:
    for name in ("sh", "make"):
        command(machine, name, "")
    (line,) = binaries.missing_tools(machine)
    assert line.startswith("curl: ")
    assert "apt install curl" in line


def test_cache_key_follows_the_pins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("pulumi", "kubernetes"):
        (tmp_path / module).mkdir()
        for pins in ("go.mod", "go.sum"):
            (tmp_path / module / pins).write_bytes((go_build.TOOLS / module / pins).read_bytes())
    before = binaries.cache_key()
    monkeypatch.setattr(binaries, "TOOLS", tmp_path)
    assert binaries.cache_key() == before
    with (tmp_path / "kubernetes" / "go.sum").open("a") as pins:
        pins.write("another pin\n")
    assert binaries.cache_key() != before


def test_locate_names_what_is_not_built_and_the_next_step(machine: dict[str, str]) -> None:
    fill_cache(machine, without=("kwok", "etcd"))
    with pytest.raises(SandboxError, match=r"not built yet: etcd, kwok; run `make binaries`"):
        binaries.locate(machine)


def test_changed_language_host_counts_as_not_built(machine: dict[str, str]) -> None:
    folder = fill_cache(machine)
    assert binaries.locate(machine).path_entries == (folder,)
    (folder / "pulumi-language-python.source").write_text("of another source")
    with pytest.raises(SandboxError, match="not built yet: pulumi-language-python;"):
        binaries.locate(machine)


def test_users_pulumi_comes_first_with_its_own_language_host(machine: dict[str, str]) -> None:
    folder = fill_cache(machine)
    pulumi = command(machine, "pulumi", "echo v3.230.0")
    assert binaries.locate(machine).paths["pulumi-language-python"] == folder / "pulumi-language-python"
    host = command(machine, "pulumi-language-python", "")
    tools = binaries.locate(machine)
    assert tools.paths["pulumi"] == pulumi
    assert tools.paths["pulumi-language-python"] == host
    assert tools.path_entries == (pulumi.parent, folder)


@pytest.mark.parametrize("answer", ["echo v3.220.9", "exit 1", "echo dev"])
def test_users_pulumi_is_passed_over_when_too_old_or_broken(
    machine: dict[str, str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill_cache(machine)
    command(machine, "pulumi", answer)
    assert binaries.locate(machine).paths["pulumi"] == folder / "pulumi"
    assert "3.221 or newer is needed" in capsys.readouterr().err


def test_kubebuilder_assets_are_used_or_refused(machine: dict[str, str], tmp_path: Path) -> None:
    fill_cache(machine, without=("etcd", "kube-apiserver"))
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver"):
        (assets / name).touch(mode=0o755)
    machine["KUBEBUILDER_ASSETS"] = str(assets)
    assert binaries.locate(machine).paths["etcd"] == assets / "etcd"
    (assets / "kube-apiserver").unlink()
    with pytest.raises(SandboxError, match="there is no executable kube-apiserver in it"):
        binaries.locate(machine)


def test_build_failure_shows_the_end_of_the_output_and_leaves_nothing(machine: dict[str, str], tmp_path: Path) -> None:
    command(
        machine, "go", '[ "$1" = version ] && echo "go version go9.9.9 x/y" && exit; echo cannot find module; exit 1'
    )
    target = tmp_path / "out" / "kwok"
    target.parent.mkdir()
    program = next(program for program in binaries.PROGRAMS if program.name == "kwok")
    with pytest.raises(SandboxError, match="cannot find module"):
        go_build.build(program, target, step="[1/1]", environ=machine)
    assert [path.name for path in target.parent.iterdir()] == ["kwok.build.log"]


def test_build_replaces_the_target_in_one_step(machine: dict[str, str], tmp_path: Path) -> None:
    script = '[ "$1" = version ] && echo "go version go9.9.9 x/y" && exit\n'
    script += 'while [ "$1" != -o ]; do shift; done; echo built > "$2"'
    command(machine, "go", script)
    target = tmp_path / "out" / "kwok"
    target.parent.mkdir()
    (target.parent / ".kwok.1").write_text("half of what a killed builder left")
    program = next(program for program in binaries.PROGRAMS if program.name == "kwok")
    go_build.build(program, target, step="[1/1]", environ=machine)
    assert target.read_text() == "built\n"
    assert [path.name for path in target.parent.iterdir()] == ["kwok"]


def test_nothing_is_built_twice(machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    fill_cache(machine)
    monkeypatch.setattr(binaries, "build", lambda *_, **__: pytest.fail("built again"))
    assert binaries.ensure(machine).paths["etcd"].name == "etcd"


def test_little_disk_is_said_before_anything_is_built(machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    with pytest.raises(SandboxError, match=r"has 1\.0 GiB free"):
        binaries.ensure(machine)


def test_second_builder_waits_and_then_builds_nothing(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(binaries, "build", lambda *_, **__: pytest.fail("built what the first one had built"))
    folder = fill_cache(machine, without=("kwok",))
    with ThreadPoolExecutor() as pool:
        with binaries._only_builder(folder.parent / "lock"):
            second = pool.submit(binaries.ensure, machine)
            said = ""
            while "waiting for another build" not in said:
                assert not second.done()
                said += capsys.readouterr().err
            fill_cache(machine)
        assert second.result(timeout=30).paths["kwok"] == folder / "kwok"
