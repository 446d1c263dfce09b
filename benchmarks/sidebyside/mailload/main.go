// Command mailload is the load source, the next hop and the disk test of `make bench`.
//
//	mailload load   submits mail over STARTTLS and AUTH PLAIN; the password is in MAILLOAD_PASSWORD
//	mailload sink   plays the next hop: accepts and counts
//	mailload syncs  appends to a file and syncs each append
//
// The last line of each is a JSON object. Durations in it are milliseconds or seconds, moments are seconds since 1970.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"syscall"
	"time"
)

func main() {
	commands := map[string]func([]string) (any, error){"load": load, "sink": sink, "syncs": syncs}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: mailload load|sink|syncs [options]")
		os.Exit(2)
	}
	report, err := commands[os.Args[1]](os.Args[2:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mailload:", err)
		os.Exit(1)
	}
}

// cpuSeconds returns the processor time of this process.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func unixSeconds(moment time.Time) float64 {
	return float64(moment.UnixNano()) / 1e9
}

func inSeconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Second))
}

// spread holds the latencies of a run in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spreadOf sorts the durations in place. Without any, all are zero.
func spreadOf(durations []time.Duration) spread {
	if len(durations) == 0 {
		return spread{}
	}
	sort.Slice(durations, func(one, other int) bool { return durations[one] < durations[other] })
	at := func(share float64) float64 {
		return float64(durations[int(share*float64(len(durations)-1))]) / float64(time.Millisecond)
	}
	return spread{at(0.5), at(0.95), at(0.99), at(1)}
}
