package main

import (
	"net/smtp"
	"os"
)

func main() {
	auth := smtp.PlainAuth("", "sendry", os.Getenv("SENDRY_API_KEY"), os.Getenv("SMTP_HOST"))
	msg := []byte(
		"From: hello@example.test\r\n" +
			"To: user@example.org\r\n" +
			"Subject: " + os.Getenv("SUBJECT") + "\r\n" +
			"MIME-Version: 1.0\r\n" +
			"Content-Type: text/html\r\n\r\n" +
			"<p>Sent via Sendry SMTP relay.</p>",
	)
	err := smtp.SendMail(
		os.Getenv("SMTP_HOST")+":"+os.Getenv("SMTP_PORT"),
		auth,
		"hello@example.test",
		[]string{"user@example.org"},
		msg,
	)
	if err != nil {
		panic(err)
	}
}
