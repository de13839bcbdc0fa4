"""Pairs from arguments, manifests and directories, and the checks before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from localvqe_cli.audio import Job, jobs_from_directories, jobs_from_manifest, prepare_outputs, single_job
from localvqe_cli.errors import UsageError


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_a_single_pair_writes_beside_the_mic() -> None:
    assert single_job("a/mic.flac", "r.wav", None) == Job("mic", "a/mic.flac", "r.wav", "a/mic_enhanced.wav")
    assert single_job("mic.wav", None, "x.ogg").output == "x.ogg"
    assert single_job("-", "r.wav", None).output == "-"
    assert single_job("-", "r.wav", "x.wav").output == "x.wav"
    with pytest.raises(UsageError, match="only one"):
        single_job("-", "-", None)


@pytest.mark.parametrize(("name", "separator"), [("p.tsv", "\t"), ("p.csv", ","), ("p.txt", "\t")])
def test_manifest_ignores_other_columns_and_is_relative_to_itself(tmp_path: Path, name: str, separator: str) -> None:
    rows = [["mic", "extra", "id", "ref"], ["m/a.wav", "1", "one", "r/a.wav"], [], ["/abs/b.wav", "2", "two", "b.wav"]]
    path = tmp_path / name
    path.write_text("\n".join(separator.join(row) for row in rows) + "\n", encoding="utf-8-sig")
    jobs = jobs_from_manifest(str(path), "out")
    assert [(j.id, j.mic, j.ref, j.output) for j in jobs] == [
        ("one", f"{tmp_path}/m/a.wav", f"{tmp_path}/r/a.wav", "out/one_enhanced.wav"),
        ("two", "/abs/b.wav", f"{tmp_path}/b.wav", "out/two_enhanced.wav"),
    ]
    assert jobs_from_manifest(str(path), None)[0].output == f"{tmp_path}/m/one_enhanced.wav"


def test_manifest_quotes_and_commas(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('id,mic,ref\n"x, y","a, b.wav",r.wav\n')
    assert jobs_from_manifest(str(path), None)[0].mic == str(tmp_path / "a, b.wav")


def test_manifest_without_references(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("id\tmic\none\ta.wav\n")
    assert jobs_from_manifest(str(path), None, use_ref=False)[0].ref is None


def test_a_manifest_cannot_name_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.tsv").write_text("id\tmic\tref\none\t-\tr.wav\n")
    assert jobs_from_manifest("p.tsv", None)[0].mic == "./-"


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".", "a\\b", "/etc/x", "c:x", "a\x01b"])
def test_an_id_cannot_leave_the_output_directory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f'id,mic,ref\n"{name}",a.wav,b.wav\n')
    with pytest.raises(UsageError, match="not a plain file name"):
        jobs_from_manifest(str(path), "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is missing"),
        ("id\tmic\n1\ta\n", "ref is missing"),
        ("id\tmic\tref\n", "lists no pairs"),
        ("id\tmic\tref\n1\ta.wav\n", "line 2: the column ref is empty; use --no-ref"),
        ("id\tmic\tref\n\ta.wav\tb.wav\n", "line 2: the column id is empty"),
        ("id\tmic\tref\n1\ta\tb\n1\tc\td\n", "line 3: the id '1' appears twice"),
        ('id,mic,ref\n1,"a,b\n', "cannot be read as a list of pairs"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.tsv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        jobs_from_manifest(str(path), None)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"id\tmic\tref\n\xff\xff\ta\tb\n", b"id\0\tmic\tref\n\0"])
def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.tsv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"p\.tsv"):
        jobs_from_manifest(str(path), None)
    with pytest.raises(UsageError, match="No such file"):
        jobs_from_manifest(str(tmp_path / "none.tsv"), None)


def test_two_directories_match_by_stem(tmp_path: Path) -> None:
    touch(tmp_path / "m", "a.wav", "b.flac", "notes.txt", "a_enhanced.wav", ".hidden.wav")
    touch(tmp_path / "r", "a.flac", "b.wav", "c.wav")
    jobs = jobs_from_directories(str(tmp_path / "m"), str(tmp_path / "r"), None)
    assert [(j.id, Path(j.ref or "").name, Path(j.output).name) for j in jobs] == [
        ("a", "a.flac", "a_enhanced.wav"),
        ("b", "b.wav", "b_enhanced.wav"),
    ]


@pytest.mark.parametrize("suffix", ["_lpb", "_ref"])
@pytest.mark.parametrize("same", [True, False])
def test_challenge_names_match_in_one_directory_or_two(tmp_path: Path, suffix: str, same: bool) -> None:
    mics, refs = tmp_path / "m", tmp_path / ("m" if same else "r")
    touch(mics, "x_doubletalk_mic.wav", "y_mic.wav")
    touch(refs, f"x_doubletalk{suffix}.wav", f"y{suffix}.wav")
    jobs = jobs_from_directories(str(mics), None if same else str(refs), str(tmp_path / "o"))
    assert [(j.id, Path(j.ref or "").name) for j in jobs] == [
        ("x_doubletalk_mic", f"x_doubletalk{suffix}.wav"),
        ("y_mic", f"y{suffix}.wav"),
    ]
    assert jobs[0].output == str(tmp_path / "o" / "x_doubletalk_mic_enhanced.wav")


def test_a_mic_without_reference_is_left_to_the_caller(tmp_path: Path) -> None:
    touch(tmp_path / "m", "a_mic.wav", "b_mic.wav", "a_lpb.wav")
    assert [j.ref and Path(j.ref).name for j in jobs_from_directories(str(tmp_path / "m"), None, None)] == [
        "a_lpb.wav",
        "",
    ]
    assert [j.ref for j in jobs_from_directories(str(tmp_path / "m"), None, None, use_ref=False)] == [None, None]


def test_ambiguous_and_empty_directories_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "m", "a_mic.wav", "a_lpb.wav", "a_ref.wav")
    with pytest.raises(UsageError, match=r"two references match, a_lpb\.wav and a_ref\.wav"):
        jobs_from_directories(str(tmp_path / "m"), None, None)
    touch(tmp_path / "d", "a.wav", "a.flac")
    with pytest.raises(UsageError, match="two formats"):
        jobs_from_directories(str(tmp_path / "d"), str(tmp_path / "m"), None)
    touch(tmp_path / "e", "readme.txt")
    with pytest.raises(UsageError, match="holds no microphone"):
        jobs_from_directories(str(tmp_path / "e"), None, None)
    with pytest.raises(UsageError, match="cannot be listed"):
        jobs_from_directories(str(tmp_path / "none"), None, None)


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    touch(tmp_path, "m1.wav", "m2.wav", "r.wav", "old.wav")
    one = Job("1", str(tmp_path / "m1.wav"), str(tmp_path / "r.wav"), str(tmp_path / "old.wav"))
    with pytest.raises(UsageError, match=r"exists; use --force"):
        prepare_outputs([one], force=False)
    prepare_outputs([one], force=True)
    for target in ("m1.wav", "r.wav"):
        with pytest.raises(UsageError, match="input itself"):
            prepare_outputs([Job("1", one.mic, one.ref, str(tmp_path / target))], force=True)
    with pytest.raises(UsageError, match="is a directory"):
        prepare_outputs([Job("1", one.mic, one.ref, str(tmp_path))], force=True)
    two = Job("2", str(tmp_path / "m2.wav"), one.ref, str(tmp_path / "m1.wav"))
    with pytest.raises(UsageError, match="input of this batch"):
        prepare_outputs([one, two], force=True)


def test_the_output_directory_is_made_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_outputs([Job("1", "m.wav", None, str(folder / "1_enhanced.wav"))], force=False, output_dir=str(folder))
    assert folder.is_dir()
    touch(tmp_path, "file")
    with pytest.raises(UsageError, match="cannot create the output directory"):
        prepare_outputs([], force=False, output_dir=str(tmp_path / "file"))
