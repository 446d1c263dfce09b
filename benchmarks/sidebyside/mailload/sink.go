package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"sync"
	"time"
)

var signature = []byte("dkim-signature:")

type sinkReport struct {
	Messages int     `json:"messages"`
	Signed   int     `json:"signed"` // of them, those with a DKIM-Signature field
	Last     float64 `json:"last"`   // when the last message came
	CPU      float64 `json:"cpu_s"`
}

// counter counts the messages after the warm-up.
type counter struct {
	mutex    sync.Mutex
	left     int // messages of the warm-up that are still to come
	wanted   int
	messages int
	signed   int
	last     time.Time
}

func (c *counter) add(isSigned bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.left > 0 {
		if c.left--; c.left == 0 {
			fmt.Println("warm")
		}
		return
	}
	c.last = time.Now()
	if isSigned {
		c.signed++
	}
	c.messages++
}

// isOver tells whether all wanted messages came, or none for a time after the first.
func (c *counter) isOver(idle time.Duration) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.messages > 0 && (c.messages >= c.wanted || time.Since(c.last) > idle)
}

// sink accepts mail without TLS until it has the wanted messages, or none come any more.
func sink(arguments []string) (any, error) {
	options := flag.NewFlagSet("sink", flag.ExitOnError)
	port := options.Int("port", 2525, "port on 127.0.0.1")
	count := options.Int("count", 0, "messages after which it ends")
	skip := options.Int("skip", 0, "messages of the warm-up, which come first and are not counted; `warm` is printed after them")
	seconds := options.Float64("seconds", 300, "time after which it ends in any case")
	idle := options.Float64("idle", 10, "seconds without a message after which it ends, once one was counted")
	options.Parse(arguments)
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return nil, err
	}
	counted := &counter{left: *skip, wanted: *count}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go receive(connection, counted)
		}
	}()
	end := time.Now().Add(inSeconds(*seconds))
	for time.Now().Before(end) && !counted.isOver(inSeconds(*idle)) {
		time.Sleep(50 * time.Millisecond)
	}
	counted.mutex.Lock()
	defer counted.mutex.Unlock()
	return sinkReport{counted.messages, counted.signed, unixSeconds(counted.last), cpuSeconds()}, nil
}

// receive answers the commands of a connection. Replies to pipelined commands leave together.
func receive(connection net.Conn, counted *counter) {
	defer connection.Close()
	reader, writer := bufio.NewReaderSize(connection, 64<<10), bufio.NewWriter(connection)
	reply := "220 sink.test ESMTP\r\n"
	for {
		writer.WriteString(reply)
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
		line, err := reader.ReadSlice('\n')
		if err != nil || len(line) < 4 {
			return
		}
		switch string(bytes.ToUpper(line[:4])) {
		case "EHLO":
			reply = "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n"
		case "DATA":
			writer.WriteString("354 Go ahead\r\n")
			writer.Flush()
			isSigned, err := readContent(reader)
			if err != nil {
				return
			}
			counted.add(isSigned)
			reply = "250 2.0.0 Taken\r\n"
		case "QUIT":
			writer.WriteString("221 2.0.0 Bye\r\n")
			writer.Flush()
			return
		default:
			reply = "250 2.0.0 Ok\r\n"
		}
	}
}

// readContent reads up to the line with the dot alone, and tells whether the header has a DKIM-Signature.
func readContent(reader *bufio.Reader) (isSigned bool, err error) {
	isHeader, isStart := true, true // isStart: the next octets begin a line
	for {
		line, err := reader.ReadSlice('\n')
		isWhole := err == nil
		if !isWhole && !errors.Is(err, bufio.ErrBufferFull) {
			return isSigned, err
		}
		if isStart && isWhole && string(line) == ".\r\n" {
			return isSigned, nil
		}
		if isStart && isHeader {
			isHeader = string(line) != "\r\n"
			isSigned = isSigned || len(line) >= len(signature) && bytes.EqualFold(line[:len(signature)], signature)
		}
		isStart = isWhole
	}
}
