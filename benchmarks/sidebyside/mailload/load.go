package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	retryPause = 100 * time.Millisecond // after an error, so that a server that refuses all is not flooded
	grace      = 30 * time.Second       // for replies that are outstanding when the time is over
	serialSize = 10                     // digits of the number in each Message-ID
)

// plan is what all connections of a run share.
type plan struct {
	address, user, password, sender, recipient string
	size, perConnection                        int
	end                                        time.Time
	left                                       atomic.Int64 // messages that no connection has begun
	serial                                     atomic.Int64
}

type loadReport struct {
	Acked     int     `json:"acked"`
	Errors    int     `json:"errors"`
	LastError string  `json:"last_error"`
	Rate      float64 `json:"rate"`
	Ack       spread  `json:"ack_ms"`
	Elapsed   float64 `json:"elapsed_s"`
	CPU       float64 `json:"cpu_s"`
	Started   float64 `json:"started"`
}

// load submits messages until their number is accepted or the time is over. A message that failed is sent again.
func load(arguments []string) (any, error) {
	options, shared := flag.NewFlagSet("load", flag.ExitOnError), &plan{password: os.Getenv("MAILLOAD_PASSWORD")}
	port := options.Int("port", 587, "port on 127.0.0.1")
	connections := options.Int("connections", 20, "connections at a time")
	messages := options.Int64("messages", 1<<40, "messages in all")
	seconds := options.Float64("seconds", 10, "time after which no message is begun")
	options.IntVar(&shared.size, "size", 5120, "octets of a message")
	options.IntVar(&shared.perConnection, "per-connection", 0, "messages after which a connection is replaced; 0: never")
	options.StringVar(&shared.user, "user", "", "name for AUTH")
	options.StringVar(&shared.sender, "from", "", "sender in the envelope and in From")
	options.StringVar(&shared.recipient, "rcpt", "", "recipient")
	options.Parse(arguments)
	shared.address = fmt.Sprintf("127.0.0.1:%d", *port)
	shared.left.Store(*messages)
	start := time.Now()
	shared.end = start.Add(inSeconds(*seconds))
	workers := make([]worker, *connections)
	var running sync.WaitGroup
	for number := range workers {
		running.Add(1)
		go func(each *worker) {
			defer running.Done()
			each.run(shared)
		}(&workers[number])
	}
	running.Wait()
	report := loadReport{Elapsed: time.Since(start).Seconds(), Started: unixSeconds(start), CPU: cpuSeconds()}
	var acks []time.Duration
	for _, each := range workers {
		acks = append(acks, each.acks...)
		report.Errors += each.errors
		if each.lastError != "" {
			report.LastError = each.lastError
		}
	}
	report.Acked, report.Ack = len(acks), spreadOf(acks)
	report.Rate = float64(report.Acked) / report.Elapsed
	return report, nil
}

// worker sends over one connection at a time.
type worker struct {
	plan      *plan
	content   []byte // with the dot that ends it
	serial    []byte // the part of content that differs from message to message
	mail      []byte
	rcpt      []byte
	plain     net.Conn
	secure    *tls.Conn
	reader    *bufio.Reader
	acks      []time.Duration // from the first octet of a content to the reply
	errors    int
	lastError string
}

func (w *worker) run(shared *plan) {
	w.plan = shared
	w.content, w.serial = makeContent(shared.sender, shared.recipient, shared.size)
	w.mail = []byte("MAIL FROM:<" + shared.sender + ">\r\n")
	w.rcpt = []byte("RCPT TO:<" + shared.recipient + ">\r\n")
	sent := 0 // over this connection
	for time.Now().Before(shared.end) && shared.left.Add(-1) >= 0 {
		for !w.try(&sent) {
			time.Sleep(retryPause)
			if time.Now().After(shared.end) {
				return
			}
		}
	}
	w.quit()
}

// try sends one message. After an error the connection is gone.
func (w *worker) try(sent *int) bool {
	var err error
	if w.plain == nil {
		*sent, err = 0, w.open()
	}
	if err == nil {
		err = w.send()
	}
	if err != nil {
		w.errors++
		w.lastError = err.Error()
		w.drop()
		return false
	}
	if *sent++; *sent == w.plan.perConnection {
		w.quit()
	}
	return true
}

// open connects, secures the connection and logs in.
func (w *worker) open() (err error) {
	greeting := []byte("EHLO load.test\r\n")
	if w.plain, err = net.DialTimeout("tcp4", w.plan.address, grace); err != nil {
		w.plain = nil // not an interface around a nil pointer
		return err
	}
	w.plain.SetDeadline(w.plan.end.Add(grace))
	w.reader = bufio.NewReader(w.plain)
	if err = w.expect("220"); err != nil {
		return err
	}
	if err = w.command(w.plain, greeting, "250"); err != nil {
		return err
	}
	if err = w.command(w.plain, []byte("STARTTLS\r\n"), "220"); err != nil {
		return err
	}
	// The certificate is made for the run. Full records from the start: a content leaves in as few writes as it can.
	w.secure = tls.Client(w.plain, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	w.reader.Reset(w.secure)
	if err = w.command(w.secure, greeting, "250"); err != nil {
		return err
	}
	token := base64.StdEncoding.EncodeToString([]byte("\x00" + w.plan.user + "\x00" + w.plan.password))
	return w.command(w.secure, []byte("AUTH PLAIN "+token+"\r\n"), "235")
}

// send is one transaction without pipelining, as most clients do it.
func (w *worker) send() error {
	copy(w.serial, fmt.Sprintf("%0*d", serialSize, w.plan.serial.Add(1)))
	err := w.command(w.secure, w.mail, "250")
	if err == nil {
		err = w.command(w.secure, w.rcpt, "250")
	}
	if err == nil {
		err = w.command(w.secure, []byte("DATA\r\n"), "354")
	}
	before := time.Now()
	if err == nil {
		err = w.command(w.secure, w.content, "250")
	}
	if err == nil {
		w.acks = append(w.acks, time.Since(before))
	}
	return err
}

// command sends a line, or a content, and compares the status of the reply.
func (w *worker) command(connection net.Conn, octets []byte, status string) error {
	if _, err := connection.Write(octets); err != nil {
		return err
	}
	return w.expect(status)
}

// expect reads a reply, whose last line has no hyphen after the status, and compares the status.
func (w *worker) expect(status string) error {
	for {
		line, err := w.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !bytes.HasPrefix(line, []byte(status)) {
			return fmt.Errorf("%s", bytes.TrimSpace(line))
		}
		return nil
	}
}

func (w *worker) quit() {
	if w.plain != nil {
		w.command(w.secure, []byte("QUIT\r\n"), "221") // whatever it answers, the connection ends
		w.drop()
	}
}

func (w *worker) drop() {
	if w.plain != nil {
		w.plain.Close()
		w.plain = nil
	}
}

// makeContent returns a message of `size` octets, which are more than its header, with the dot after it, and the number in its Message-ID.
func makeContent(sender, recipient string, size int) (content, serial []byte) {
	digits := strings.Repeat("0", serialSize)
	domain := sender[strings.LastIndex(sender, "@")+1:]
	text := fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: Your receipt\r\nMessage-ID: <%s@%s>\r\nDate: %s\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n", sender, recipient, digits, domain, time.Now().Format(time.RFC1123Z))
	line := strings.Repeat("abcdefghi ", 7) + "\r\n"
	text += strings.Repeat(line, size/len(line)+1)
	content = append([]byte(text[:size-2]), "\r\n.\r\n"...)
	start := bytes.Index(content, []byte("<"+digits)) + 1
	return content, content[start : start+serialSize]
}
