"""Lines to paste."""

import subprocess

from sendryd.dashboard.snippets import Place, snippets

PLACE = Place(
    http="http://127.0.0.1:8025",
    smtp="127.0.0.1:2587",
    cert="/a folder/cert.pem",
    sender="hello@acme.example",
    recipient="o'neil@b.example",
)


def test_each_program_has_lines_that_a_shell_reads() -> None:
    found = snippets(PLACE)
    assert [each.name for each in found] == ["curl", "swaks", "nodemailer", "Python", "Go", "PHP", "smtp://"]
    for each in found:
        assert "SENDRYD_KEY" in each.lines
        assert subprocess.run(["bash", "-n"], input=each.lines.encode(), check=False).returncode == 0


def test_hostile_values_stay_values() -> None:
    hostile = Place(http="http://h", smtp="h:25", cert="/c", sender="a@b.example", recipient='"$(touch /tmp/x)\'`id`"@b.example')
    for each in snippets(hostile):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"curl() {{ :; }}; swaks() {{ :; }}; node() {{ :; }}; python3() {{ :; }}; go() {{ :; }}; php() {{ :; }}\n{each.lines}",
            ],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), each.name
