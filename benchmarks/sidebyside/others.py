"""The servers beside ours: Postfix, with OpenDKIM where mail is signed, Exim, OpenSMTPD, Haraka, aiosmtpd.

Each runs on folders of its own and leaves those of the system alone. What only accepts keeps the mail in its queue: Postfix on hold, Exim until a
queue run, Haraka with delivery disabled. OpenSMTPD has no such setting: its attempts to connect to a closed port are part of its cost.
"""

import os
import pwd
import shutil
import sys
from pathlib import Path

from sidebyside.forms import HOSTNAME, TEMPLATES, NotMeant, Unavailable, render, run_checked
from sidebyside.job import CACHE, DOMAIN, PASSWORD, USER, Endpoint, Job, Peer, find, free_port, listens
from sidebyside.scenarios import Scenario


def values_for(job: Job, port: int) -> dict[str, object]:
    """What the templates of all servers name."""
    credentials = job.bench.credentials
    return {
        "dir": job.folder,
        "hostname": HOSTNAME,
        "port": port,
        "nexthop_port": job.next_hop,
        "user": USER,
        "password": PASSWORD,
        "cert": credentials.cert,
        "key": credentials.key,
        "dkim_key": credentials.dkim_key,
    }


def known_user(*names: str) -> pwd.struct_passwd:
    """The first of these users that the system has. Raises `Unavailable`."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in names:
        if name in known:
            return known[name]
    raise Unavailable(f"the system has no user {' or '.join(names)}")


class Postfix(Peer):
    """Postfix; with OpenDKIM as a milter where each message is signed."""

    is_root_needed = True

    def __init__(self, *, signs: bool) -> None:
        self.signs = signs
        self.programs = (("postfix", "postfix"), ("saslpasswd2", "sasl2-bin"), *((("opendkim", "opendkim"),) if signs else ()))
        self.name = "postfix-opendkim" if signs else "postfix"

    def check(self, scenario: Scenario) -> None:
        if self.signs and not scenario.signs:
            raise NotMeant("Postfix without OpenDKIM is measured there")
        super().check(scenario)

    def start(self, job: Job) -> Endpoint:
        port, conf, program = free_port(), job.folder / "conf", find("postfix")
        daemons = run_checked(["postconf", "-dh", "daemon_directory"]).strip()
        values = values_for(job, port) | {
            "milters": self._start_milter(job) if self.signs else "",
            "daemon_directory": daemons,
            "command_directory": Path(program).parent,
            "shlib_directory": run_checked(["postconf", "-dh", "shlib_directory"]).strip(),
            "recipient_restrictions": "" if job.scenario.delivers else "check_recipient_access static:HOLD,",
        }
        for name in ("main.cf", "master.cf", "sasl/smtpd.conf"):
            render(f"postfix/{name}", conf / name, values)
        for name in ("queue", "data", "log"):
            (job.folder / name).mkdir()
        shutil.chown(job.folder / "data", "postfix")
        passwords = conf / "sasl" / "sasldb2"
        run_checked([find("saslpasswd2"), "-p", "-c", "-f", passwords, "-u", HOSTNAME, USER], input=PASSWORD)
        shutil.chown(passwords, "postfix")
        run_checked([program, "-c", conf, "check"])
        return job.serve(f"{daemons}/master", "-c", conf, port=port, log=job.folder / "log" / "mail.log")

    @staticmethod
    def _start_milter(job: Job) -> str:
        port, conf = free_port(), job.folder / "opendkim.conf"
        render("opendkim.conf", conf, values_for(job, port) | {"milter_port": port, "domain": DOMAIN})
        job.wait(job.start(find("opendkim"), "-f", "-x", conf), lambda: listens(port))
        return f"inet:127.0.0.1:{port}"


class Exim(Peer):
    """Exim. It delivers each message in the process that took it."""

    name = "exim"
    programs = (("exim4", "exim4-daemon-light"),)
    is_root_needed = True

    def start(self, job: Job) -> Endpoint:
        port, folder, program = free_port(), job.folder, find("exim4")
        user = known_user("Debian-exim", "exim", "mail")
        key = Path(shutil.copy(job.bench.credentials.key, folder / "key.pem"))  # read after root is given up
        for name in ("spool", "log"):
            (folder / name).mkdir()
        for path in (key, folder / "spool", folder / "log"):
            os.chown(path, user.pw_uid, user.pw_gid)
        values = values_for(job, port) | {
            "key": key,
            "user_name": user.pw_uid,
            "group_name": user.pw_gid,
            "program": program,
            "queue_only": "false" if job.scenario.delivers else "true",
        }
        render("exim.conf", folder / "exim.conf", values)
        return job.serve(program, "-C", folder / "exim.conf", "-bdf", port=port, log=folder / "log" / "main")


class OpenSmtpd(Peer):
    """OpenSMTPD. The path of its queue is compiled in, so a folder of the run is mounted there, for its processes alone."""

    name = "opensmtpd"
    programs = (("smtpd", "opensmtpd"),)
    is_root_needed = True
    SPOOL = Path("/var/spool/smtpd")

    def check(self, scenario: Scenario) -> None:
        super().check(scenario)
        for user in ("opensmtpd", "opensmtpq"):
            known_user(user)
        if not self.SPOOL.is_dir():
            raise Unavailable(f"{self.SPOOL} is missing (Debian package opensmtpd)")

    def start(self, job: Job) -> Endpoint:
        port, conf, spool = free_port(), job.folder / "smtpd.conf", job.folder / "spool"
        hashed = run_checked(["openssl", "passwd", "-6", PASSWORD])
        (job.folder / "users").write_text(f"{USER} {hashed}", "utf-8")
        spool.mkdir()
        spool.chmod(0o711)  # its own check of the folder
        render("smtpd.conf", conf, values_for(job, port))
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return job.serve("unshare", "--mount", "sh", "-ec", script, "sh", spool, self.SPOOL, find("smtpd"), "-d", "-f", conf, port=port)


class Haraka(Peer):
    """Haraka with its outbound queue."""

    name = "haraka"
    programs = (("node", "nodejs"),)
    PROGRAM = CACHE / "node_modules" / "Haraka" / "bin" / "haraka"

    def check(self, scenario: Scenario) -> None:
        super().check(scenario)
        if not self.PROGRAM.exists():
            raise Unavailable("it is not installed (make bench-peers)")

    def start(self, job: Job) -> Endpoint:
        port, templates, instance = free_port(), TEMPLATES / "haraka", job.folder / "instance"
        values = values_for(job, port) | {"hold": "false" if job.scenario.delivers else "true"}
        shutil.copytree(self.PROGRAM.parents[1] / "config", instance / "config")  # what the templates leave out
        for path in templates.glob("*/*"):
            render(str(path.relative_to(TEMPLATES)), instance / path.relative_to(templates), values)
        (instance / "queue").mkdir()
        # It computes a group for Diffie-Hellman where there is none, which takes minutes.
        group = ("openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048")
        (instance / "config" / "dhparams.pem").write_text(run_checked(group), "ascii")
        return job.serve(find("node"), self.PROGRAM, "-c", instance, port=port)


class Aiosmtpd(Peer):
    """aiosmtpd with a synced file for each message: a small Python server without a queue."""

    name = "aiosmtpd"
    delivers = False

    def start(self, job: Job) -> Endpoint:
        return serve_script(job, Path(__file__).with_name("aiosmtpdserver.py"))


def serve_script(job: Job, script: Path) -> Endpoint:
    """Starts a mail server that is a script of ours."""
    port, credentials = free_port(), job.bench.credentials
    options = ("--port", port, "--folder", job.folder / "data", "--cert", credentials.cert, "--key", credentials.key)
    return job.serve(sys.executable, script, *options, port=port, env={"BENCH_PASSWORD": PASSWORD})
