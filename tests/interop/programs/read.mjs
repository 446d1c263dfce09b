// Prints what mailparser reads in each of the messages named on the command line.
import { readFile } from "node:fs/promises";
import libmime from "libmime";
import { simpleParser } from "mailparser";

const addresses = (field) =>
  (field ? [field].flat() : []).flatMap(({ value }) => value.map(({ name, address }) => [name, address]));

const found = [];
for (const path of process.argv.slice(2)) {
  const mail = await simpleParser(await readFile(path), { keepCidLinks: true });
  found.push({
    subject: mail.subject,
    from: addresses(mail.from),
    to: addresses(mail.to),
    reply_to: addresses(mail.replyTo),
    note: libmime.decodeWords(mail.headers.get("x-note") ?? ""),
    text: (mail.text ?? "").trim(),
    files: mail.attachments.map((file) => [file.filename, file.contentType, file.content.toString("base64")]),
  });
}
console.log(JSON.stringify(found));
