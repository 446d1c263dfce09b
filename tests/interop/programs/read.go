// Prints what Go's standard library reads in each of the messages named on the command line.
package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os"
	"strings"
)

type found struct {
	Subject string      `json:"subject"`
	From    [][2]string `json:"from"`
	To      [][2]string `json:"to"`
	ReplyTo [][2]string `json:"reply_to"`
	Note    string      `json:"note"`
	Text    string      `json:"text"`
	Files   [][3]string `json:"files"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func addresses(message *mail.Message, name string) [][2]string {
	list := [][2]string{}
	if message.Header.Get(name) == "" {
		return list
	}
	read, err := message.Header.AddressList(name)
	check(err)
	for _, each := range read {
		list = append(list, [2]string{each.Name, each.Address})
	}
	return list
}

func decoded(message *mail.Message, name string) string {
	text, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get(name))
	check(err)
	return text
}

func walk(header textproto.MIMEHeader, body io.Reader, to *found) {
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	check(err)
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, parameters["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			check(err)
			walk(part.Header, part, to)
		}
	}
	switch header.Get("Content-Transfer-Encoding") {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	content, err := io.ReadAll(body)
	check(err)
	if header.Get("Content-Disposition") == "" {
		if kind == "text/plain" {
			to.Text = strings.TrimSpace(string(content))
		}
		return
	}
	_, place, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	check(err)
	to.Files = append(to.Files, [3]string{place["filename"], kind, base64.StdEncoding.EncodeToString(content)})
}

func main() {
	all := []found{}
	for _, path := range os.Args[1:] {
		file, err := os.Open(path)
		check(err)
		message, err := mail.ReadMessage(file)
		check(err)
		each := found{
			Subject: decoded(message, "Subject"),
			From:    addresses(message, "From"),
			To:      addresses(message, "To"),
			ReplyTo: addresses(message, "Reply-To"),
			Note:    decoded(message, "X-Note"),
			Files:   [][3]string{},
		}
		walk(textproto.MIMEHeader(message.Header), message.Body, &each)
		all = append(all, each)
	}
	check(json.NewEncoder(os.Stdout).Encode(all))
}
