"""Code that verifies the signature of a webhook, in six languages, each with a signed example. Pure.

Each piece runs in bash as it is, and needs nothing beside the language: `verify` is what an app copies. The secret is `$WEBHOOK_SECRET`.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.dashboard.snippets import Snippet
from sendryd.policy.webhook_signature import sign

EXAMPLE_SECRET: Final = "whsec_" + "RXhhbXBsZVNlY3JldE9mU2VuZHJ5ZERvY3VtZW50cw=="  # ends up in no webhook
_IDENTITY: Final = "evt_example"
_TOLERANCE: Final = 300  # seconds between sending and verifying: the recommendation of Standard Webhooks


@dataclass(frozen=True, slots=True)
class Example:
    """A signed request."""

    secret: str
    body: str
    headers: Mapping[str, str]


def example(secret: str, timestamp: int) -> Example:
    """A request that the secret signed at a time, in seconds since 1970."""
    data = {"email_id": "em_example", "to": "user@example.org"}
    body = json.dumps({"id": _IDENTITY, "type": "email.delivered", "data": data}, separators=(",", ":"))
    return Example(secret, body, sign(secret, body.encode(), identity=_IDENTITY, timestamp=timestamp))


def verifying(shown: Example) -> tuple[Snippet, ...]:
    """The code for each language. The example is fresh for five minutes, as `verify` asks."""
    code = {
        "Python": _in_place("python3 -", _PYTHON),
        "Node.js": _in_place("node -", _NODE),
        "Go": _in_file("go run", "main.go", _GO),
        "Java": _in_file("java", "Verify.java", _JAVA),
        "Perl": _in_place("perl -", _PERL),
        "Shell": _SHELL.strip(),
    }
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    pairs = [("WEBHOOK_SECRET", shown.secret), *((name.upper().replace("-", "_"), shown.headers[name]) for name in names)]
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in [*pairs, ("WEBHOOK_BODY", shown.body)])
    return tuple(Snippet(name, f"{exports}\n{text}") for name, text in code.items())


def _in_place(command: str, code: str) -> str:
    return f"{command} <<'END'\n{code.strip()}\nEND"


def _in_file(command: str, name: str, code: str) -> str:
    return f'file=$(mktemp -d)/{name}\ncat >"$file" <<\'END\'\n{code.strip()}\nEND\n{command} "$file"'


_PYTHON: Final = f"""
import base64, hashlib, hmac, json, os, time

def verify(secret, webhook_id, timestamp, signatures, body):
    if abs(time.time() - int(timestamp)) > {_TOLERANCE}:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{{webhook_id}}.{{timestamp}}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(expected, each) for each in signatures.split())

env = os.environ
body = env["WEBHOOK_BODY"].encode()
if not verify(env["WEBHOOK_SECRET"], env["WEBHOOK_ID"], env["WEBHOOK_TIMESTAMP"], env["WEBHOOK_SIGNATURE"], body):
    raise SystemExit("The signature is wrong.")
print("The signature is right:", json.loads(body)["type"])
"""

_NODE: Final = f"""
const {{ createHmac, timingSafeEqual }} = require("node:crypto");

function verify(secret, id, timestamp, signatures, body) {{
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > {_TOLERANCE}) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signed = Buffer.concat([Buffer.from(`${{id}}.${{timestamp}}.`), body]);
  const expected = Buffer.from("v1," + createHmac("sha256", key).update(signed).digest("base64"));
  return signatures.split(" ").map((each) => Buffer.from(each))
    .some((each) => each.length === expected.length && timingSafeEqual(each, expected));
}}

const env = process.env;
const body = Buffer.from(env.WEBHOOK_BODY);
if (!verify(env.WEBHOOK_SECRET, env.WEBHOOK_ID, env.WEBHOOK_TIMESTAMP, env.WEBHOOK_SIGNATURE, body)) {{
  console.error("The signature is wrong.");
  process.exit(1);
}}
console.log("The signature is right:", JSON.parse(body).type);
"""

_GO: Final = f"""
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

func verify(secret, id, timestamp, signatures string, body []byte) bool {{
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || math.Abs(float64(time.Now().Unix()-sent)) > {_TOLERANCE} {{
		return false
	}}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {{
		return false
	}}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, each := range strings.Fields(signatures) {{
		if hmac.Equal([]byte(each), []byte(expected)) {{
			return true
		}}
	}}
	return false
}}

func main() {{
	body := []byte(os.Getenv("WEBHOOK_BODY"))
	if !verify(os.Getenv("WEBHOOK_SECRET"), os.Getenv("WEBHOOK_ID"), os.Getenv("WEBHOOK_TIMESTAMP"), os.Getenv("WEBHOOK_SIGNATURE"), body) {{
		fmt.Fprintln(os.Stderr, "The signature is wrong.")
		os.Exit(1)
	}}
	var event struct{{ Type string }}
	if json.Unmarshal(body, &event) == nil {{
		fmt.Println("The signature is right:", event.Type)
	}}
}}
"""

_JAVA: Final = f"""
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {{
    static boolean verify(String secret, String id, String timestamp, String signatures, byte[] body) throws Exception {{
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > {_TOLERANCE}) return false;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
        for (String each : signatures.split(" ")) {{
            if (MessageDigest.isEqual(each.getBytes(StandardCharsets.UTF_8), expected)) return true;
        }}
        return false;
    }}

    public static void main(String[] arguments) throws Exception {{
        String secret = System.getenv("WEBHOOK_SECRET"), id = System.getenv("WEBHOOK_ID");
        String timestamp = System.getenv("WEBHOOK_TIMESTAMP"), signatures = System.getenv("WEBHOOK_SIGNATURE");
        String body = System.getenv("WEBHOOK_BODY");
        if (!verify(secret, id, timestamp, signatures, body.getBytes(StandardCharsets.UTF_8))) {{
            System.err.println("The signature is wrong.");
            System.exit(1);
        }}
        System.out.println("The signature is right: " + body);
    }}
}}
"""

_PERL: Final = f"""
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64);

sub same {{  # takes the same time whatever the text is
    my ($one, $other) = @_;
    return 0 if length $one != length $other;
    my $differs = 0;
    $differs |= ord(substr $one, $_, 1) ^ ord(substr $other, $_, 1) for 0 .. length($one) - 1;
    return !$differs;
}}

sub verify {{
    my ($secret, $id, $timestamp, $signatures, $body) = @_;
    return 0 if abs(time - $timestamp) > {_TOLERANCE};
    my $key = decode_base64($secret =~ s/^whsec_//r);
    my $expected = "v1," . hmac_sha256_base64("$id.$timestamp.$body", $key) . "=";
    return scalar grep {{ same($_, $expected) }} split / /, $signatures;
}}

my $body = $ENV{{WEBHOOK_BODY}};
verify(@ENV{{qw(WEBHOOK_SECRET WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE)}}, $body) or die "The signature is wrong.\\n";
print "The signature is right: ", decode_json($body)->{{type}}, "\\n";
"""

_SHELL: Final = f"""
verify() {{
  age=$(($(date +%s) - WEBHOOK_TIMESTAMP))
  [ "${{age#-}}" -le {_TOLERANCE} ] || return 1
  key=$(printf %s "${{WEBHOOK_SECRET#whsec_}}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
  expected=v1,$(printf '%s.%s.%s' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP" "$WEBHOOK_BODY" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
  case " $WEBHOOK_SIGNATURE " in *" $expected "*) return 0 ;; *) return 1 ;; esac
}}
if verify; then echo "The signature is right: $WEBHOOK_BODY"; else echo "The signature is wrong." >&2; (exit 1); fi
"""
